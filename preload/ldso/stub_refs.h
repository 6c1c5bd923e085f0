/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stub_refs.h - keeps stubs open as long as their library: with RTLD_LAZY, symbols are still to be
 * bound in the scope of the stub.
 *
 * Counts the dlopens and dlcloses of such libraries that dlopen/load.h and early/dlopen.h make for
 * the program.
 *
 * Thread rules: any thread; one lock, under which nothing is opened or closed.
 */
#ifndef FASTIMPORT_LDSO_STUB_REFS_H
#define FASTIMPORT_LDSO_STUB_REFS_H

#include <stdbool.h>

/* Counts an open of the library. If `stub` is not NULL: returns true if the stub is now kept open
 * for the library; otherwise the caller closes it. */
bool stub_refs_opened(void *library, void *stub);

/* Counts a close of the library. Returns the stub that the caller must close now, or NULL. */
void *stub_refs_closed(const void *library);

#endif
