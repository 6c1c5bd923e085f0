/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.h - libc's own functions behind the names that we interpose, bound with dlsym(RTLD_NEXT) on
 * first use.
 *
 * This file and the wrappers in this folder are the only places that name libc's file functions. A
 * name that this libc does not have is bound to a function that fails with ENOSYS: no program of
 * this system can call it.
 */
#ifndef FASTIMPORT_INTERCEPT_REAL_H
#define FASTIMPORT_INTERCEPT_REAL_H

/* Undo what the headers would do to the names. */
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
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>
#include <utime.h>

struct real_functions {
#define X(result, name, parameters) result(*name) parameters;
#include "intercept/symbols.def"
#undef X
};

/* The wrappers themselves: some of these names have no declaration in libc's headers. */
#define X(result, name, parameters) result name parameters;
#include "intercept/symbols.def"
#undef X

extern struct real_functions real_table;
extern bool real_is_bound;

void real_bind(void);

static inline const struct real_functions *real(void)
{
    if (__builtin_expect(!real_is_bound, 0)) {
        real_bind();
    }
    return &real_table;
}

/* libc declares of some paths that they are not NULL, and the compiler believes it; programs do
 * give NULL, and empty ones with AT_EMPTY_PATH. */
static inline bool has_name(const char *path)
{
    return (size_t)path >= 4096 && path[0] != '\0';
}

#define FI_EXPORT __attribute__((visibility("default")))

#endif
