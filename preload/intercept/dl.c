/* SPDX-License-Identifier: BSD-3-Clause */
/* dl.c - dlopen(3), dlclose(3), dlinfo(3). */
#include "intercept/real.h"

#include <string.h>

#include "dlopen/by_name.h"
#include "dlopen/load.h"
#include "dlopen/loaded.h"
#include "early/dlopen.h"
#include "mpi/redirect.h"
#include "resolve.h"

static struct library_calls calls(void)
{
    return (struct library_calls){real()->dlopen, real()->dlclose, redirect_update};
}

/* A record that fits this process: what the root had loaded, this rank may not have. */
static bool obtain(const char *path, const void *caller, struct answer *a)
{
    bool got = caller == NULL ? resolve(CALL_DL, RECORD_LIBRARY, 0, path, a)
                              : by_name_resolve(path, caller, 0, a);

    if (!got || a->error != 0 || load_fits(a->record)) {
        return got && a->error == 0;
    }
    got = caller == NULL ? resolve(CALL_DL, RECORD_LIBRARY, LIBRARY_FROM_START, path, a)
                         : by_name_resolve(path, caller, LIBRARY_FROM_START, a);
    return got && a->error == 0;
}

/* What can only be a directory's name is left to ld.so. */
static bool could_be_file(const char *path)
{
    size_t n = strlen(path);

    return n > 0 && path[n - 1] != '/' && (n < 2 || strcmp(path + n - 2, "/.") != 0);
}

/* NULL: the node cache does not give it. */
static void *load_from_cache(const char *path, bool is_path, int flags, const void *caller,
                             const struct library_calls *libc)
{
    struct answer a;
    void *handle;

    if (!resolve_active || (is_path && !resolve_wanted(path)) ||
        !obtain(path, is_path ? NULL : caller, &a)) {
        return NULL;
    }
    handle = segment_is_filtered(&resolver.node->index) /* files are made and removed there */
                 ? NULL
                 : load_library(resolver.node, a.record, is_path ? path : NULL, flags, libc);
    if (handle == NULL && (flags & RTLD_NOLOAD) == 0) {
        resolve_fell_back(FALLBACK_LIBRARY);
    }
    return handle;
}

/* A name with a slash is a path; one without is searched for the caller. NULL: make the real call.
 */
static void *serve_dlopen(const char *path, int flags, const void *caller,
                          const struct library_calls *libc)
{
    void *handle;
    bool is_path;

    if (!resolve_begun || (size_t)path < 4096 || !could_be_file(path) ||
        (flags & (RTLD_LAZY | RTLD_NOW)) == 0) {
        return NULL;
    }
    is_path = strchr(path, '/') != NULL;
    handle = load_from_cache(path, is_path, flags, caller, libc);
    return handle == NULL && is_path ? loaded_open(resolver.node, path, flags, libc) : handle;
}

static char unanswered; /* make the real call */

/* Does ld.so find the same for us as for the caller? It does by an absolute or relative path
 * ("$ORIGIN" in it is the caller's), and for a bare name if no RPATH or RUNPATH comes in but the
 * executable's (a caller inherits the RPATHs of what brought it in, which ld.so does not tell). */
static bool is_found_alike(const char *path, const void *caller)
{
    struct linkmap_list map;
    const struct linkmap_object *who;
    bool alike;

    if (strchr(path, '/') != NULL) {
        return strchr(path, '$') == NULL;
    }
    if (!linkmap_all(&map)) {
        return false;
    }
    who = linkmap_at(&map, caller);
    alike = who != NULL && who->runpath == NULL;
    for (size_t i = 1; alike && i < map.n; i++) {
        alike = map.objects[i].rpath == NULL || map.objects[i].runpath != NULL;
    }
    linkmap_free(&map);
    return alike;
}

/* Apart from dlopen(), which no address of its own may leave: it could not make a tail call. */
static __attribute__((noinline)) void *answer_dlopen(const char *path, int flags,
                                                     const void *caller)
{
    struct library_calls libc = calls();
    void *handle = NULL;

    if (fi_inside()) { /* by us, or by MPI on our behalf */
        return early_dlopen(path, flags, caller, &libc, &handle) ? handle : &unanswered;
    }
    redirect_update(); /* what a call has loaded that could not be made from here */
    handle = serve_dlopen(path, flags, caller, &libc);
    if (handle == NULL && redirect_is_begun() && (size_t)path >= 4096 && path[0] != '\0' &&
        is_found_alike(path, caller)) {
        handle = libc.dlopen(path, flags);
        redirect_update();
        return handle;
    }
    redirect_update();
    return handle != NULL ? handle : &unanswered;
}

/* The real call must be a tail call: ld.so searches for a bare name with the caller's RUNPATH, and
 * takes the return address for the caller's. */
__attribute__((optimize("O2"))) FI_EXPORT void *dlopen(const char *path, int flags)
{
    void *handle = answer_dlopen(path, flags, __builtin_return_address(0));

    return handle != &unanswered ? handle : real()->dlopen(path, flags);
}

FI_EXPORT int dlclose(void *handle)
{
    struct library_calls libc = calls();

    return load_close(handle, &libc);
}

/* A library's $ORIGIN is the directory of the original, not of its copy. */
FI_EXPORT int dlinfo(void *handle, int request, void *info)
{
    int result = real()->dlinfo(handle, request, info);

    if (result == 0 && request == RTLD_DI_ORIGIN && resolve_begun) {
        load_original_name(resolver.node, info);
    }
    return result;
}
