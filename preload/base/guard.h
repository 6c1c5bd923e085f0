/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.h - "this thread is inside fastimport": its calls go straight to libc.
 *
 * Our own code uses sys.h, but what it calls (an MPI library, dlopen, malloc) may open and stat
 * files, and must not come back into us. Wrappers ask fi_inside() first; everything that may call
 * out holds the guard. Per thread, nests, costs one TLS access (initial-exec: the library is always
 * preloaded).
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
