/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>

void *caller_dlopen(const char *name, int flags);

void *caller_dlopen(const char *name, int flags)
{
    void *h = dlopen(name, flags);
    __asm__ volatile("" ::: "memory"); /* no tail call: the return address stays in this object */
    return h;
}
