/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LOADED = 4096 };

static fi_closure_compute_fn *compute = NULL;
static fi_closure_free_fn *release = NULL;

static int probe_open_file(void *ctx, const char *path, struct fi_elf_bytes *out)
{
    (void)ctx;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fstat(fd, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
    if (error == 0 && st.st_size > 0) {
        out->data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        out->size = (size_t)st.st_size;
        error = out->data == MAP_FAILED ? errno : 0;
    }
    close(fd);
    return error;
}

static void probe_close_file(void *ctx, struct fi_elf_bytes *bytes)
{
    (void)ctx;
    if (bytes->size)
        munmap((void *)bytes->data, bytes->size);
}

static int probe_identity(void *ctx, const char *path, unsigned long *dev, unsigned long *ino)
{
    (void)ctx;
    struct stat st;
    if (stat(path, &st) != 0)
        return -1;
    *dev = st.st_dev;
    *ino = st.st_ino;
    return 0;
}

static int probe_is_dir(void *ctx, const char *path)
{
    (void)ctx;
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const struct fi_elf_source probe_files = {NULL, probe_open_file, probe_close_file, probe_identity,
                                          probe_is_dir};

#ifdef __SANITIZE_ADDRESS__
int probe_open(const char *path)
{
    (void)path;
    compute = fi_closure_compute;
    release = fi_closure_free;
    return 0;
}
#else
int probe_open(const char *path)
{
    void *handle = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
    fi_closure_abi_fn *abi = handle ? (fi_closure_abi_fn *)dlsym(handle, "fi_closure_abi") : NULL;
    if (!abi || abi() != FI_CLOSURE_ABI) {
        fprintf(stderr, "probe: %s\n", handle ? "the DSO has another ABI" : dlerror());
        return -1;
    }
    compute = (fi_closure_compute_fn *)dlsym(handle, "fi_closure_compute");
    release = (fi_closure_free_fn *)dlsym(handle, "fi_closure_free");
    return compute && release ? 0 : -1;
}
#endif

/* A string or value of a mapped object's dynamic section; ld.so has made DT_STRTAB an address. */
static const ElfW(Dyn) * dynamic(const struct link_map *map, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *entry = map->l_ld; entry && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == tag)
            return entry;
    return NULL;
}

static const char *dynamic_string(const struct link_map *map, ElfW(Sxword) tag)
{
    const ElfW(Dyn) *strings = dynamic(map, DT_STRTAB), *entry = dynamic(map, tag);
    if (!strings || !entry || strings->d_un.d_ptr < map->l_addr)
        return NULL;
    return (const char *)strings->d_un.d_ptr + entry->d_un.d_val;
}

static const char *executable(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return n > 0 ? path : "";
}

static struct link_map *first_map(void)
{
    return _r_debug.r_map;
}

static size_t probe_collect(struct fi_elf_loaded *loaded)
{
    size_t n = 0;
    for (struct link_map *map = first_map(); map && n < MAX_LOADED; map = map->l_next)
        loaded[n++] = (struct fi_elf_loaded){.name = map->l_name,
                                             .path = *map->l_name ? map->l_name : executable(),
                                             .soname = dynamic_string(map, DT_SONAME)};
    return n;
}

static struct fi_elf_loader loader_of(const struct link_map *map)
{
    const ElfW(Dyn) *flags = dynamic(map, DT_FLAGS_1);
    return (struct fi_elf_loader){.path = *map->l_name ? map->l_name : executable(),
                                  .rpath = dynamic_string(map, DT_RPATH),
                                  .runpath = dynamic_string(map, DT_RUNPATH),
                                  .nodeflib = flags && (flags->d_un.d_val & DF_1_NODEFLIB)};
}

static struct link_map *find_map(const char *name)
{
    struct link_map *map = first_map();
    while (map && strcmp(map->l_name, name) != 0)
        map = map->l_next;
    return map;
}

static void print_closure(FILE *out, enum fi_closure_status status,
                          const struct fi_closure *closure)
{
    static const char *const names[] = {"OK", "NOT_ELF", "NOT_FOUND", "NO_MEMORY"};
    if (status != FI_CLOSURE_OK)
        fprintf(out, "%s %s\n", names[status], closure->culprit ? closure->culprit : "");
    else
        fprintf(out, "OK\n");
    for (size_t i = 0; i < closure->n_libs; i++)
        if (!closure->libs[i].already_loaded)
            fprintf(out, "%s%s\n", closure->libs[i].path,
                    closure->libs[i].in_cycle ? " (cycle)" : "");
}

void probe_closure(const char *target, const char *caller, int fd)
{
    static struct fi_elf_loaded loaded[MAX_LOADED];
    struct fi_elf_loader loaders[2];
    size_t n_loaders = 0;
    const struct link_map *map = caller ? find_map(caller) : NULL;
    if (map)
        loaders[n_loaders++] = loader_of(map);
    loaders[n_loaders++] = loader_of(first_map());
    char cwd[4096];
    struct fi_closure_request request = {
        .path = target,
        .loaders = loaders,
        .n_loaders = n_loaders,
        .loaded = loaded,
        .n_loaded = probe_collect(loaded),
        .ld_library_path = getenv("LD_LIBRARY_PATH"),
        .cwd = getcwd(cwd, sizeof cwd),
        .source = &probe_files,
    };
    struct fi_closure closure;
    enum fi_closure_status status = compute(&request, &closure);
    FILE *out = fdopen(dup(fd), "w");
    print_closure(out, status, &closure);
    fclose(out);
    release(&closure);
}

int probe_link_map(int skip, int fd)
{
    int n = 0;
    for (struct link_map *map = first_map(); map; map = map->l_next)
        if (n++ >= skip)
            dprintf(fd, "%s\n", map->l_name);
    return n;
}
