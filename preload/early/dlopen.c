/* SPDX-License-Identifier: BSD-3-Clause */
/* dlopen.c - see dlopen.h */
#include "early/dlopen.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "early/libpath.h"
#include "ldso/closure_dso.h"
#include "ldso/stub.h"
#include "ldso/stub_refs.h"

enum { MOST_STUBS = 500 };

static struct {
    const struct closure_dso *closure_dso; /* NULL: early_dlopen() does nothing */
    const char *ld_library_path;
    struct libpath libpath;
} early;

/* Does the search list have a relative directory? An empty element is the working directory,
 * too. */
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
        early.closure_dso = closure_dso_open();
    } else {
        fi_log(LOG_DEBUG, "%s lists none of the directories of LD_LIBRARY_PATH on this node",
               LIBPATH_VARIABLE);
    }
}

/* --- how the search looks at the file system --- */

static int early_source_open(void *ctx, const char *path, struct fi_elf_bytes *out)
{
    (void)ctx;
    return libpath_lacks_library(&early.libpath, path) ? ENOENT : closure_dso_map(path, out);
}

static int early_source_identity(void *ctx, const char *path, unsigned long *dev,
                                 unsigned long *ino)
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

static int early_source_is_dir(void *ctx, const char *path)
{
    struct stat st;

    (void)ctx;
    if (libpath_has_listed(&early.libpath, path)) {
        return 1;
    }
    return !libpath_lacks_directory(&early.libpath, path) && sys_stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static const struct fi_elf_source source = {NULL, early_source_open, closure_dso_unmap,
                                            early_source_identity, early_source_is_dir};

/* --- the closure --- */

struct process {
    struct linkmap_list map;
    struct fi_elf_loaded *loaded;
    struct fi_elf_loader loaders[2]; /* the caller, then the executable */
    size_t n_loaders;
    char program[FI_PATH_MAX];
    char cwd[FI_PATH_MAX];
};

/* May an inherited RPATH matter? ld.so also searches the RPATHs of all objects that have loaded the
 * caller, and does not tell which those are. */
static bool may_inherit_rpath(const struct linkmap_list *map, const struct linkmap_object *who)
{
    if (who == NULL || who == &map->objects[0] || who == linkmap_at(map, &early)) {
        return false;
    }
    for (size_t i = 1; i < map->n; i++) {
        const struct linkmap_object *o = &map->objects[i];

        if (o != who && o->rpath != NULL && o->runpath == NULL) {
            return true;
        }
    }
    return false;
}

/* Fills in *p. Returns false if memory is short, or if it cannot be known what ld.so would
 * search. */
static bool early_describe_process(struct process *p, const void *caller)
{
    const struct linkmap_object *who;

    sys_program(p->program, sizeof p->program);
    if (!linkmap_all(&p->map) || p->map.n == 0) {
        return false;
    }
    p->loaded = closure_dso_loaded(&p->map, p->program, 0);
    who = linkmap_at(&p->map, caller);
    if (who != NULL && who != &p->map.objects[0]) {
        p->loaders[p->n_loaders++] = closure_dso_loader(who, who->name);
    }
    p->loaders[p->n_loaders++] = closure_dso_loader(&p->map.objects[0], p->program);
    return p->loaded != NULL && !may_inherit_rpath(&p->map, who);
}

/* Computes the closure of a library. The caller must release the closure and then *process, from
 * which the closure borrows. */
static enum fi_closure_status early_compute(const char *name, const void *caller,
                                            struct process **process, struct fi_closure *closure)
{
    struct process *p = *process = calloc(1, sizeof *p);
    enum fi_closure_status status = FI_CLOSURE_NO_MEMORY;

    if (p != NULL && early_describe_process(p, caller)) {
        struct fi_closure_request request = {
            .path = name,
            .loaders = p->loaders,
            .n_loaders = p->n_loaders,
            .loaded = p->loaded,
            .n_loaded = p->map.n,
            .ld_library_path = early.ld_library_path,
            .cwd = sys_getcwd(p->cwd, sizeof p->cwd) > 0 ? p->cwd : NULL,
            .source = &source,
        };

        status = early.closure_dso->compute(&request, closure);
    }
    return status;
}

static void early_release(struct process *p, struct fi_closure *closure)
{
    early.closure_dso->release(closure);
    if (p != NULL) {
        free(p->loaded);
        linkmap_free(&p->map);
        free(p);
    }
}

/* --- loading --- */

/* The libraries that the stub names, in ld.so's mapping order, the requested one first. */
struct stub_contents {
    const char **names;
    size_t n;
    size_t n_new; /* number of those that are not loaded yet */
};

/* Can the stub load this library by its path? ld.so must then know it by every name by which it
 * will be asked for. And it must not have an RPATH, which also counts for what it loads in turn:
 * there the stub would be in its place. */
static bool can_stand_behind_stub(const struct fi_closure_lib *l)
{
    for (size_t i = 0; l->names[i] != NULL; i++) {
        if (strcmp(l->names[i], l->path) != 0 &&
            (l->soname == NULL || strcmp(l->names[i], l->soname) != 0)) {
            return false;
        }
    }
    return l->path[0] == '/' && strchr(l->path, '$') == NULL && !l->has_rpath;
}

/* Fills in *out. A library that is loaded already is named, too, for its place in the scope.
 * Returns false if one of the libraries is not fit for this. */
static bool early_choose(const struct fi_closure *closure, struct stub_contents *out)
{
    *out = (struct stub_contents){.names = calloc(closure->n_libs + 1, sizeof *out->names)};
    for (size_t i = 0; out->names != NULL && i < closure->n_libs; i++) {
        const struct fi_closure_lib *l = &closure->libs[i];

        if (!l->already_loaded && !can_stand_behind_stub(l)) {
            return false;
        }
        out->n_new += !l->already_loaded;
        out->names[l->mapped] = l->already_loaded && l->soname != NULL ? l->soname : l->path;
    }
    out->n = closure->n_libs;
    return out->names != NULL && out->n > 0;
}

/* Writes a name of the descriptor that ld.so has not seen before. ld.so recognises objects by their
 * names, and descriptor numbers are reused. So each stub has a different number of "./" in its
 * name, which also keeps it apart from a "/proc/self/fd/N" of the program. */
static bool stub_name(char *out, size_t size, int fd)
{
    static _Atomic unsigned serial;
    unsigned number = ++serial;
    size_t at = (size_t)snprintf(out, size, "/proc/self/");

    if (number > MOST_STUBS) {
        return false;
    }
    while (number-- > 0) {
        at += (size_t)snprintf(out + at, size - at, "./");
    }
    snprintf(out + at, size - at, "fd/%d", fd);
    return true;
}

static bool write_stub(int fd, const struct stub_contents *l)
{
    struct stub stub = {.needed = l->names, .n_needed = l->n};
    size_t size = 0;
    void *bytes = stub_make(&stub, &size);
    bool written = bytes != NULL && sys_pwrite_all(fd, bytes, size, 0) == 0;

    free(bytes);
    return written;
}

/* Renames the stub in the link map, because its descriptor will be closed. dlpi_name is ld.so's own
 * string. */
static int rename_stub(struct dl_phdr_info *info, size_t size, void *name)
{
    (void)size;
    if (info->dlpi_name == NULL || strcmp(info->dlpi_name, name) != 0) {
        return 0;
    }
    strcpy((char *)info->dlpi_name, "fastimport");
    return 1;
}

static void *early_open_stub(const struct stub_contents *l, int flags,
                             const struct library_calls *calls)
{
    char name[2 * MOST_STUBS + 64];
    int fd = sys_memory_file("fastimport");
    void *handle = NULL;

    if (fd >= 0) {
        if (write_stub(fd, l) && stub_name(name, sizeof name, fd)) {
            handle = calls->dlopen(name, flags & ~RTLD_NODELETE);
        }
        sys_close(fd);
    }
    if (handle != NULL) {
        dl_iterate_phdr(rename_stub, name);
    }
    return handle;
}

/* Is this error final, because ld.so would refuse the libraries however they are loaded? The text
 * is not translated: the program has not set a locale yet. */
static bool is_final_error(const char *error)
{
    return error != NULL && strstr(error, "undefined symbol") != NULL;
}

/* Loads the libraries. Returns false if the real call must be made. */
static bool early_load(const struct stub_contents *l, int flags, const struct library_calls *calls,
                       void **library)
{
    void *stub = NULL;

    *library = NULL;
    if (l->n_new > 1) {
        stub = early_open_stub(l, flags, calls);
        if (stub == NULL && is_final_error(dlerror())) {
            /* once more, so that dlerror() is set for the program */
            stub = early_open_stub(l, flags, calls);
            return stub == NULL;
        }
        if (stub == NULL) {
            return false;
        }
    }
    *library = calls->dlopen(l->names[0], flags);
    if (stub != NULL &&
        (*library == NULL || !stub_refs_opened(*library, (flags & RTLD_NOW) != 0 ? NULL : stub))) {
        calls->dlclose(stub);
    }
    return *library != NULL;
}

static bool early_in_use(const char *name)
{
    return early.closure_dso != NULL && name != NULL && name[0] != '\0';
}

/* If an object of this name is loaded already, ld.so does not search: opens it. */
static bool early_open_loaded(const char *name, int flags, const struct library_calls *calls,
                              void **library)
{
    struct linkmap_list map;
    bool loaded = linkmap_all(&map) && linkmap_has(&map, name);

    linkmap_free(&map);
    if (loaded) {
        *library = calls->dlopen(name, flags);
        stub_refs_opened(*library, NULL);
    }
    return loaded;
}

/* Opens a library that must be searched for. */
static bool early_search_and_open(const char *name, int flags, const void *caller,
                                  const struct library_calls *calls, void **library)
{
    struct fi_closure closure = {0};
    struct process *process;
    struct stub_contents l = {0};
    bool answered = early_compute(name, caller, &process, &closure) == FI_CLOSURE_OK &&
                    !closure.root_is_needed && early_choose(&closure, &l) &&
                    early_load(&l, flags, calls, library);

    fi_log(LOG_DEBUG, "%s is %s", name, answered ? "opened without a search" : "left to ld.so");
    free(l.names);
    early_release(process, &closure);
    return answered;
}

bool early_dlopen(const char *name, int flags, const void *caller,
                  const struct library_calls *calls, void **library)
{
    return early_in_use(name) && (early_open_loaded(name, flags, calls, library) ||
                                  ((flags & RTLD_NOLOAD) == 0 &&
                                   early_search_and_open(name, flags, caller, calls, library)));
}

bool early_is_nowhere(const char *name)
{
    struct fi_closure closure = {0};
    struct process *process;
    bool nowhere;

    if (!early_in_use(name)) {
        return false;
    }
    nowhere = early_compute(name, NULL, &process, &closure) == FI_CLOSURE_NOT_FOUND &&
              closure.culprit != NULL && strcmp(closure.culprit, name) == 0;
    early_release(process, &closure);
    return nowhere;
}
