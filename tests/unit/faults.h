/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults.h - failing system calls and allocations, put between the modules and base/sys.c or libc
 * at link time by ld --wrap: every name of faults.def, and the allocators (rules.mk).
 *
 * fault_arm(): after `skip` calls that pass, the next `times` calls of that function fail with
 * `error` (-errno); the allocators return NULL. Counted over all threads. fault_clear() disarms
 * all; scratch_teardown() does so, too.
 */
#ifndef FASTIMPORT_TESTS_UNIT_FAULTS_H
#define FASTIMPORT_TESTS_UNIT_FAULTS_H

enum fault_call {
#define X(result, name, parameters, arguments) FAULT_##name,
#include "faults.def"
#undef X
    FAULT_sys_mmap,
    FAULT_malloc,
    FAULT_calloc,
    FAULT_realloc,
    FAULT_strdup,
    FAULT_pthread_create,
    FAULT_CALLS
};

enum { ALWAYS = 1 << 30 };

void fault_arm(enum fault_call call, int error, int skip, int times);
void fault_clear(void);

/* Called once, before the next call of `call`: for what happens in the middle of something. */
void fault_meanwhile(enum fault_call call, int skip, void (*action)(void));

#endif
