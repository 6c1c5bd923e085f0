/* SPDX-License-Identifier: BSD-3-Clause */
/* closure_dso.c - see closure_dso.h */
#include "ldso/closure_dso.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"

static bool closure_dso_open_once(struct closure_dso *c)
{
    char name[FI_PATH_MAX];
    fi_closure_abi_fn *abi;
    void *handle;

#ifdef __SANITIZE_ADDRESS__
    /* the sanitizer's runtime ends the program when it is loaded into a second namespace */
    return false;
#endif
    if (getauxval(AT_BASE) == 0) { /* ld.so was started as a program with options of its own */
        fi_log(LOG_INFO, "ld.so was started as a program, so libraries are left to it");
        return false;
    }
    if (!linkmap_beside("libfastimport-elf.so", name, sizeof name)) {
        return false;
    }
    handle = dlmopen(LM_ID_NEWLM, name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        fi_log(LOG_WARN, "libraries are left to ld.so: %s", dlerror());
        return false;
    }
    abi = (fi_closure_abi_fn *)dlsym(handle, "fi_closure_abi");
    c->release = (fi_closure_free_fn *)dlsym(handle, "fi_closure_free");
    c->compute = (fi_closure_compute_fn *)dlsym(handle, "fi_closure_compute");
    if (abi == NULL || abi() != FI_CLOSURE_ABI || c->release == NULL || c->compute == NULL) {
        fi_log(LOG_WARN,
               "libraries are left to ld.so: %s has another version than libfastimport.so", name);
        return false;
    }
    return true;
}

const struct closure_dso *closure_dso_open(void)
{
    static struct closure_dso closure_dso;
    static bool tried, opened;

    if (!tried) {
        tried = true;
        opened = closure_dso_open_once(&closure_dso);
    }
    return opened ? &closure_dso : NULL;
}

struct fi_elf_loader closure_dso_loader(const struct linkmap_object *o, const char *path)
{
    return (struct fi_elf_loader){path, o->rpath, o->runpath, o->nodeflib};
}

struct fi_elf_loaded *closure_dso_loaded(const struct linkmap_list *map, const char *program,
                                         size_t more)
{
    struct fi_elf_loaded *loaded = calloc(map->n + more + 1, sizeof *loaded);

    for (size_t i = 0; loaded != NULL && i < map->n; i++) {
        const struct linkmap_object *o = &map->objects[i];

        loaded[i] = (struct fi_elf_loaded){
            .name = o->name, .path = i == 0 ? program : o->name, .soname = o->soname};
    }
    return loaded;
}

int closure_dso_map(const char *name, struct fi_elf_bytes *out)
{
    struct stat st;
    int fd = sys_open(name, O_RDONLY | O_CLOEXEC, 0);
    int error = fd < 0 ? fd : sys_fstat(fd, &st);

    if (fd < 0) {
        return -fd;
    }
    if (error == 0 && !S_ISREG(st.st_mode)) {
        error = -EINVAL;
    }
    if (error == 0) {
        out->size = (size_t)st.st_size;
        out->data = out->size == 0 ? "" : sys_mmap(out->size, PROT_READ, MAP_PRIVATE, fd, 0);
        error = out->data == NULL ? -ENOMEM : 0;
    }
    sys_close(fd);
    return -error;
}

void closure_dso_unmap(void *ctx, struct fi_elf_bytes *bytes)
{
    (void)ctx;
    if (bytes->size > 0) {
        sys_munmap((void *)bytes->data, bytes->size);
    }
}
