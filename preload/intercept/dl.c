/* dl.c - dlopen(3). */
#include "intercept/real.h"

#include "answer/library.h"
#include "resolve.h"

/* A library named by its path, to be loaded (not only asked for). */
static void *serve_dlopen(const char *path, int flags)
{
    struct answer a;
    void *handle;

    if (!resolve_wanted(path) || path[0] != '/' || (flags & RTLD_NOLOAD) != 0 ||
        !resolve(CALL_DL, RECORD_LIBRARY, 0, path, &a) || a.error != 0) {
        return NULL;
    }
    handle = answer_library(resolver.node, a.record, flags, real()->dlopen);
    if (handle == NULL) {
        resolve_fell_back(FALLBACK_LIBRARY);
    }
    return handle;
}

/* The real call must be a tail call: ld.so searches for a bare name with the caller's RUNPATH, and takes the return
 * address for the caller's. */
__attribute__((optimize("O2"))) FI_EXPORT void *dlopen(const char *path, int flags)
{
    void *handle = serve_dlopen(path, flags);

    return handle != NULL ? handle : real()->dlopen(path, flags);
}
