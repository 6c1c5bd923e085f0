/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * by_name.h - dlopen of a library by name (without a slash): asks the root what ld.so would find
 * for this caller.
 *
 * ld.so searches with the RPATH or RUNPATH of the caller and with LD_LIBRARY_PATH (ld.so(8)). If
 * none of these directories is below a root, or an object of that name is loaded already, the real
 * call is made at once.
 *
 * Thread rules: any thread.
 */
#ifndef FASTIMPORT_DLOPEN_BY_NAME_H
#define FASTIMPORT_DLOPEN_BY_NAME_H

#include "ldso/linkmap.h"
#include "resolve.h"

/* As resolve(), for a RECORD_LIBRARY. caller: an address in the code that calls dlopen; question:
 * enum library_question. */
bool by_name_resolve(const char *name, const void *caller, uint64_t question,
                     struct answer *answer);

/* For a name that the cache does not answer. ld.so takes for $ORIGIN of a caller that was loaded
 * from the mirror the directory of the copy, where the library need not be. This opens it in the
 * directory of the original, by libc's dlopen. NULL: make the real call. */
void *by_name_open_original(const char *name, int flags, const void *caller,
                            const struct library_calls *calls);

#endif
