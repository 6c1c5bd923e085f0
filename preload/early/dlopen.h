/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dlopen.h - dlopen for the start of MPI itself, before this rank can be served: loads libraries
 * without ld.so's search through LD_LIBRARY_PATH, if the launcher has listed its directories
 * (libpath.h).
 *
 * Each rank computes what a library needs and where ld.so would find it, as the root does for the
 * libraries of the program (elf/closure.h). It does not look for names that the launcher has not
 * seen. Then a stub (ldso/stub.h) names the libraries to ld.so by their absolute paths, in ld.so's
 * own order and in one scope. With RTLD_LAZY the stub stays in the link map as long as the library
 * (ldso/stub_refs.h). Where an inherited DT_RPATH may matter, ld.so searches as usual.
 *
 * Thread rules: early_prepare() once, in the constructor; the others in any thread that holds the
 * guard (base/guard.h).
 */
#ifndef FASTIMPORT_EARLY_DLOPEN_H
#define FASTIMPORT_EARLY_DLOPEN_H

#include <stdbool.h>

#include "ldso/linkmap.h"

/* Reads what the launcher has listed. If it has listed nothing, or LD_LIBRARY_PATH names the
 * working directory, early_dlopen() does nothing. */
void early_prepare(void);

/* Returns false if the real call must be made. Otherwise *library is the result of dlopen; if that
 * is NULL, dlerror() is set. `caller`: an address in the calling object, whose RPATH counts. */
bool early_dlopen(const char *name, int flags, const void *caller,
                  const struct library_calls *calls, void **library);

/* Would ld.so certainly not find this library by name? */
bool early_is_nowhere(const char *name);

#endif
