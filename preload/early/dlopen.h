/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dlopen.h - dlopen for MPI's own start, before the rank can be served: without ld.so's search
 * through LD_LIBRARY_PATH, as far as the launcher has told what is there (libpath.h).
 *
 * What a library needs and where ld.so would find it is computed here as the root does for the
 * program's libraries (elf/closure.h), but every rank for itself, and names that the launcher did
 * not see are not looked for. The libraries are then named to ld.so by their absolute paths, in a
 * stub (base/stub.h), in ld.so's own order and in one scope. With RTLD_LAZY the stub stays in the
 * link map as long as the library (base/kept.h). Where an inherited DT_RPATH may count, ld.so
 * searches as ever.
 *
 * Thread rules: early_prepare() once, in the constructor; early_dlopen() in any thread that holds
 * the guard (base/guard.h).
 */
#ifndef FASTIMPORT_EARLY_DLOPEN_H
#define FASTIMPORT_EARLY_DLOPEN_H

#include <stdbool.h>

#include "ldso/linkmap.h"

/* Takes what the launcher has told. Where it has told nothing, or LD_LIBRARY_PATH names the
 * working directory, early_dlopen() does nothing. */
void early_prepare(void);

/* False: make the real call. Else *library is what dlopen returns; if NULL, dlerror() is set.
 * `caller`: an address in the object that calls, whose RPATH counts. */
bool early_dlopen(const char *name, int flags, const void *caller,
                  const struct library_calls *calls, void **library);

/* Would ld.so's search for this bare name find nothing? False: it might. */
bool early_is_nowhere(const char *name);

#endif
