/* SPDX-License-Identifier: BSD-3-Clause */
/* dl.c - dlopen(3), dlclose(3), dlinfo(3). */
#include "intercept/real.h"

#include <string.h>

#include "cache/mirror.h"
#include "dlopen/by_name.h"
#include "dlopen/load.h"
#include "dlopen/loaded.h"
#include "early/dlopen.h"
#include "mpi/redirect.h"
#include "resolve.h"

static struct library_calls dl_calls(void)
{
    return (struct library_calls){real()->dlopen, real()->dlclose, redirect_update};
}

/* Finds a record that fits this process. The root's own answer may assume libraries that the root
 * has loaded and this rank has not; then there is a second record (LIBRARY_FROM_START). */
static bool dl_find_record(const char *path, const void *caller, struct answer *a)
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

/* A name that can only be a directory's is left to ld.so. */
static bool could_be_file(const char *path)
{
    size_t n = strlen(path);

    return n > 0 && path[n - 1] != '/' && (n < 2 || strcmp(path + n - 2, "/.") != 0);
}

/* NULL: the node cache does not have it. */
static void *load_from_cache(const char *path, bool is_path, int flags, const void *caller,
                             const struct library_calls *libc)
{
    struct answer a;
    void *handle;

    if (!resolve_active || (is_path && !resolve_wanted(path)) ||
        !dl_find_record(path, is_path ? NULL : caller, &a)) {
        return NULL;
    }
    /* loading writes files there, which the filter may forbid */
    handle = segment_is_filtered(&resolver.node->index)
                 ? NULL
                 : load_library(resolver.node, a.record, is_path ? path : NULL, flags, libc);
    if (handle == NULL && (flags & RTLD_NOLOAD) == 0) {
        resolve_fell_back(FALLBACK_LIBRARY);
    }
    return handle;
}

/* A name with a slash is a path; one without is searched for as the caller would. NULL: make the
 * real call. */
static void *serve_dlopen(const char *path, int flags, const void *caller,
                          const struct library_calls *libc)
{
    void *handle;
    bool is_path;

    if (!resolve_begun || !could_be_pointer(path) || !could_be_file(path) ||
        (flags & (RTLD_LAZY | RTLD_NOW)) == 0) {
        return NULL;
    }
    is_path = strchr(path, '/') != NULL;
    handle = load_from_cache(path, is_path, flags, caller, libc);
    if (handle != NULL) {
        return handle;
    }
    return is_path ? loaded_open(resolver.node, path, flags, libc)
                   : by_name_open_original(path, flags, caller, libc);
}

static char unanswered; /* its address means: make the real call */

/* Does ld.so find the same file when fastimport calls dlopen as when the program does? Yes for an
 * absolute or relative path without "$ORIGIN", which is the caller's. For a library by name it does
 * if no RPATH or RUNPATH is involved except the executable's. (A caller inherits the RPATHs of what
 * loaded it, and ld.so does not tell what that was.) */
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

/* Not a part of dlopen() itself: if the address of a local variable were passed on, the compiler
 * could not make the tail call there. */
static __attribute__((noinline)) void *answer_dlopen(const char *path, int flags,
                                                     const void *caller)
{
    struct library_calls libc = dl_calls();
    void *handle = NULL;

    if (fi_inside()) { /* called by fastimport, or by MPI on its behalf */
        return early_dlopen(path, flags, caller, &libc, &handle) ? handle : &unanswered;
    }
    /* catches up with what a dlopen has loaded whose real call was a tail call */
    redirect_update();
    handle = serve_dlopen(path, flags, caller, &libc);
    if (handle == NULL && redirect_is_begun() && could_be_pointer(path) && path[0] != '\0' &&
        is_found_alike(path, caller)) {
        handle = libc.dlopen(path, flags);
        redirect_update();
        return handle;
    }
    redirect_update();
    return handle != NULL ? handle : &unanswered;
}

#if __has_attribute(musttail)
#define TAIL_CALL __attribute__((musttail))
#define WITH_TAIL_CALLS
#else
#define TAIL_CALL
#define WITH_TAIL_CALLS __attribute__((optimize("O2")))
#endif

/* The real call must be a tail call. ld.so searches for a library by name with the RUNPATH of the
 * caller, and finds the caller by the return address. */
WITH_TAIL_CALLS FI_EXPORT void *dlopen(const char *path, int flags)
{
    void *handle = answer_dlopen(path, flags, __builtin_return_address(0));

    if (handle != &unanswered) {
        return handle;
    }
    TAIL_CALL return real()->dlopen(path, flags);
}

FI_EXPORT int dlclose(void *handle)
{
    struct library_calls libc = dl_calls();

    return load_close(handle, &libc);
}

/* The $ORIGIN of a library is the directory of the original, not of its copy. */
FI_EXPORT int dlinfo(void *handle, int request, void *info)
{
    int result = real()->dlinfo(handle, request, info);

    if (result == 0 && request == RTLD_DI_ORIGIN && resolve_begun) {
        mirror_path_to_original(resolver.node, info);
    }
    return result;
}
