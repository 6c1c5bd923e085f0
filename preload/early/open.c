/* open.c - see open.h */
#include "early/open.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "base/stub.h"
#include "base/sys.h"
#include "companion.h"
#include "early/libpath.h"

enum { MOST_STUBS = 500 };

static struct {
    const struct companion *companion; /* NULL: not in use */
    const char *ld_library_path;
    struct libpath libpath;
} early;

/* An empty element, too, is the working directory. */
static bool has_relative_element(const char *search)
{
    while (*search == '/' || *search == '$') {
        search += strcspn(search, ":;");
        if (*search == '\0') {
            return false;
        }
        search++;
    }
    return true;
}

void early_prepare(void)
{
    const char *told = getenv(LIBPATH_VARIABLE);
    const char *search = getenv("LD_LIBRARY_PATH");

    if (told == NULL || search == NULL || has_relative_element(search)) {
        return;
    }
    early.ld_library_path = strdup(search);
    if (early.ld_library_path != NULL && libpath_load(&early.libpath, told, search)) {
        early.companion = companion_open();
    } else {
        fi_log(LOG_DEBUG, "%s does not speak of LD_LIBRARY_PATH's directories here",
               LIBPATH_VARIABLE);
    }
}

/* --- how the search looks at the file system -------------------------------------------------
 */

static int source_open(void *ctx, const char *path, struct fi_elf_bytes *out)
{
    (void)ctx;
    return libpath_lacks_library(&early.libpath, path) ? ENOENT : companion_map(path, out);
}

static void source_close(void *ctx, struct fi_elf_bytes *bytes)
{
    (void)ctx;
    companion_unmap(bytes);
}

static int source_identity(void *ctx, const char *path, unsigned long *dev, unsigned long *ino)
{
    struct stat st;
    int error = libpath_lacks_library(&early.libpath, path) ? ENOENT : -sys_stat(path, &st);

    (void)ctx;
    if (error == 0) {
        *dev = st.st_dev;
        *ino = st.st_ino;
    }
    return error;
}

static int source_is_dir(void *ctx, const char *path)
{
    struct stat st;

    (void)ctx;
    if (libpath_has_listed(&early.libpath, path)) {
        return 1;
    }
    return !libpath_lacks_directory(&early.libpath, path) && sys_stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static const struct fi_elf_source source = {NULL, source_open, source_close, source_identity,
                                            source_is_dir};

/* --- the closure --------------------------------------------------------------------------------
 */

struct process {
    struct linkmap_list map;
    struct fi_elf_loaded *loaded;
    struct fi_elf_loader loaders[2]; /* caller, executable */
    size_t n_loaders;
    char program[FI_PATH_MAX];
};

static bool describe_process(struct process *p, const void *caller)
{
    ssize_t n = sys_readlink("/proc/self/exe", p->program, sizeof p->program - 1);
    const struct linkmap_object *who;

    p->program[n > 0 ? n : 0] = '\0';
    if (!linkmap_all(&p->map) || p->map.n == 0) {
        return false;
    }
    p->loaded = calloc(p->map.n, sizeof *p->loaded);
    for (size_t i = 0; p->loaded != NULL && i < p->map.n; i++) {
        const struct linkmap_object *o = &p->map.objects[i];

        p->loaded[i] = (struct fi_elf_loaded){
            .name = o->name, .path = i == 0 ? p->program : o->name, .soname = o->soname};
    }
    who = linkmap_at(&p->map, caller);
    if (who != NULL && who != &p->map.objects[0]) {
        p->loaders[p->n_loaders++] = companion_loader(who, who->name);
    }
    p->loaders[p->n_loaders++] = companion_loader(&p->map.objects[0], p->program);
    return p->loaded != NULL;
}

static enum fi_closure_status compute(const char *name, const void *caller,
                                      struct fi_closure *closure)
{
    struct process *p = calloc(1, sizeof *p);
    enum fi_closure_status status = FI_CLOSURE_NO_MEMORY;

    if (p != NULL && describe_process(p, caller)) {
        struct fi_closure_request request = {
            .path = name,
            .loaders = p->loaders,
            .n_loaders = p->n_loaders,
            .loaded = p->loaded,
            .n_loaded = p->map.n,
            .ld_library_path = early.ld_library_path,
            .source = &source,
        };

        status = early.companion->compute(&request, closure);
    }
    if (p != NULL) {
        free(p->loaded);
        linkmap_free(&p->map);
        free(p);
    }
    return status;
}

/* --- loading
 * --------------------------------------------------------------------------------------
 */

/* Will ld.so know it by every name that it will be asked for, once it is loaded from its path? */
static bool is_known_by_all(const struct fi_closure_lib *l)
{
    for (size_t i = 0; l->names[i] != NULL; i++) {
        if (strcmp(l->names[i], l->path) != 0 &&
            (l->soname == NULL || strcmp(l->names[i], l->soname) != 0)) {
            return false;
        }
    }
    return l->path[0] == '/' && strchr(l->path, '$') == NULL;
}

/* What is to be loaded, in the order in which ld.so maps it: the target first. NULL: something will
 * not do, or there is nothing to spare. To be freed by the caller. */
static const char **paths_to_load(const struct fi_closure *closure, size_t *n)
{
    const char **paths = calloc(closure->n_libs + 1, sizeof *paths);
    bool sound = paths != NULL;

    *n = 0;
    for (size_t i = 0; sound && i < closure->n_libs; i++) {
        const struct fi_closure_lib *l = &closure->libs[i];

        sound = l->already_loaded ? l->mapped > 0 : is_known_by_all(l);
        paths[l->mapped] = l->already_loaded ? NULL : l->path;
    }
    for (size_t i = 0; sound && i < closure->n_libs; i++) {
        if (paths[i] != NULL) {
            paths[(*n)++] = paths[i];
        }
    }
    if (!sound) {
        free(paths);
        paths = NULL;
    }
    return paths;
}

/* ld.so compares names, and a descriptor's number is used again: each stub has its own. */
static bool stub_name(char *out, size_t size, int fd)
{
    static _Atomic unsigned serial;
    unsigned number = serial++;
    size_t at = (size_t)snprintf(out, size, "/proc/self/");

    if (number >= MOST_STUBS) {
        return false;
    }
    while (number-- > 0) {
        at += (size_t)snprintf(out + at, size - at, "./");
    }
    snprintf(out + at, size - at, "fd/%d", fd);
    return true;
}

static bool write_stub(int fd, const char *const *paths, size_t n)
{
    struct stub stub = {.needed = paths, .n_needed = n};
    size_t size = 0;
    void *bytes = stub_make(&stub, &size);
    bool written = bytes != NULL && sys_pwrite_all(fd, bytes, size, 0) == 0;

    free(bytes);
    return written;
}

/* False: there can be no stub. Else ld.so has had its say: what does not load behind the stub would
 * not load without. */
static bool open_stub(const char *const *paths, size_t n, int flags,
                      const struct library_calls *calls, void **handle)
{
    char name[2 * MOST_STUBS + 64];
    int fd = sys_memory_file("fastimport");
    bool usable = fd >= 0 && write_stub(fd, paths, n) && stub_name(name, sizeof name, fd) &&
                  sys_access(name, R_OK, true) == 0;

    if (usable) {
        *handle = calls->dlopen(name, flags & ~RTLD_NODELETE);
    }
    if (fd >= 0) {
        sys_close(fd);
    }
    return usable;
}

static bool load(const char *const *paths, size_t n, int flags, const struct library_calls *calls,
                 void **library)
{
    void *stub = NULL;

    *library = NULL;
    if (n > 1 && !open_stub(paths, n, flags, calls, &stub)) {
        return false;
    }
    if (n == 1 || stub != NULL) {
        *library = calls->dlopen(paths[0], flags);
    }
    /* With RTLD_LAZY symbols are still to be bound in its scope. MPI does not unload what it uses.
     */
    if (stub != NULL && (*library == NULL || (flags & RTLD_NOW) != 0)) {
        calls->dlclose(stub);
    }
    return true;
}

static bool in_use(const char *name)
{
    return early.companion != NULL && name != NULL && name[0] != '\0';
}

bool early_dlopen(const char *name, int flags, const void *caller,
                  const struct library_calls *calls, void **library)
{
    struct fi_closure closure = {0};
    const char **paths = NULL;
    bool answered;
    size_t n = 0;

    if (!in_use(name) || (flags & RTLD_NOLOAD) != 0) {
        return false;
    }
    if (compute(name, caller, &closure) == FI_CLOSURE_OK && !closure.root_is_needed) {
        paths = paths_to_load(&closure, &n);
    }
    answered = paths != NULL && load(paths, n, flags, calls, library);
    fi_log(LOG_DEBUG, "%s is %s", name, answered ? "opened without a search" : "left to ld.so");
    free(paths);
    early.companion->release(&closure);
    return answered;
}

bool early_is_nowhere(const char *name)
{
    struct fi_closure closure = {0};
    bool nowhere;

    if (!in_use(name)) {
        return false;
    }
    nowhere = compute(name, NULL, &closure) == FI_CLOSURE_NOT_FOUND && closure.culprit != NULL &&
              strcmp(closure.culprit, name) == 0;
    early.companion->release(&closure);
    return nowhere;
}
