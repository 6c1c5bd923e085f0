/* dl.c - dlopen(3). */
#include "intercept/real.h"

#include <dlfcn.h>

#include "resolve.h"

FI_EXPORT void *dlopen(const char *path, int flags)
{
    return real()->dlopen(path, flags);
}
