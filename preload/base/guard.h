/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.h - marks a thread as being inside fastimport, so that wrappers pass its calls to libc.
 *
 * fastimport's own code makes system calls through sys.h. But what it calls (an MPI library,
 * dlopen, malloc) may open and stat files through the wrappers, and must not re-enter fastimport.
 * Every wrapper asks fi_inside() first. Code that calls out of fastimport does so between
 * fi_enter() and fi_leave(), which nest.
 *
 * Thread rules: the depth is per thread. Asking costs one access to thread-local storage
 * (initial-exec model, since the library is always preloaded).
 */
#ifndef FASTIMPORT_BASE_GUARD_H
#define FASTIMPORT_BASE_GUARD_H

#include <stdbool.h>

extern __thread int fi_guard_depth __attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline bool fi_inside(void)
{
    return fi_guard_depth > 0;
}

static inline void fi_enter(void)
{
    fi_guard_depth++;
}

static inline void fi_leave(void)
{
    fi_guard_depth--;
}

#endif
