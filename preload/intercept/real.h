/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.h - libc's own functions behind the names that this library intercepts. They are bound with
 * dlsym(RTLD_NEXT) at the first use.
 *
 * Only this file and the wrappers in this folder name libc's file functions. A name that this libc
 * does not have is bound to a function that fails with ENOSYS: programs built for this libc cannot
 * call it.
 *
 * Thread rules: any thread, also before the constructor has run.
 */
#ifndef FASTIMPORT_INTERCEPT_REAL_H
#define FASTIMPORT_INTERCEPT_REAL_H

/* These macros would redirect the names in libc's headers. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#undef _FORTIFY_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>
#include <utime.h>

#include "base/sys.h"

struct real_functions {
#define X(result, name, parameters) result(*name) parameters;
#include "intercept/symbols.def"
#undef X
};

/* The wrappers: libc's headers do not declare all of these names. */
#define X(result, name, parameters) result name parameters;
#include "intercept/symbols.def"
#undef X

extern struct real_functions real_table;
extern bool real_is_bound;

/* Binds all names; real() does it at the first use. */
void real_bind(void);

static inline const struct real_functions *real(void)
{
    if (__builtin_expect(!real_is_bound, 0)) {
        real_bind();
    }
    return &real_table;
}

/* Is there a path? libc declares that some paths are not NULL, and the compiler would drop a plain
 * test; but programs do pass NULL, or "" with AT_EMPTY_PATH. */
static inline bool has_name(const char *path)
{
    return could_be_pointer(path) && path[0] != '\0';
}

#define FI_EXPORT __attribute__((visibility("default")))

#endif
