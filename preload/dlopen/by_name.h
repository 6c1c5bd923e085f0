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

#include "resolve.h"

/* As resolve(), for a RECORD_LIBRARY. caller: an address in the code that calls dlopen; question:
 * enum library_question. */
bool by_name_resolve(const char *name, const void *caller, uint64_t question,
                     struct answer *answer);

#endif
