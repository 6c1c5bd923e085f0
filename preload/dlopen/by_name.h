/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * by_name.h - dlopen of a name without a slash: who calls, does the search touch a root, what
 * does the root find?
 *
 * ld.so searches for such a name with the caller's RPATH or RUNPATH and LD_LIBRARY_PATH (ld.so(8)).
 * Where none of these directories is in a root, and where an object of that name is loaded, the
 * real call is made at once.
 *
 * Thread rules: any thread.
 */
#ifndef FASTIMPORT_DLOPEN_BY_NAME_H
#define FASTIMPORT_DLOPEN_BY_NAME_H

#include "resolve.h"

/* As resolve() for a RECORD_LIBRARY. caller: an address in the code that calls dlopen; question:
 * enum library_question. */
bool by_name_resolve(const char *name, const void *caller, uint64_t question,
                     struct answer *answer);

#endif
