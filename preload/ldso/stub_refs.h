/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stub_refs.h - stubs that stay open as long as their library: with RTLD_LAZY symbols are still to be
 * bound in their scope.
 *
 * Counts the program's dlopens and dlcloses of such libraries, as far as they are answered by
 * answer/library.h or early/open.h.
 *
 * Thread rules: any thread; the lock is a leaf, and nothing is opened or closed under it.
 */
#ifndef FASTIMPORT_LDSO_STUB_REFS_H
#define FASTIMPORT_LDSO_STUB_REFS_H

#include <stdbool.h>

/* The library was opened (again). With a stub: is it kept from now on? If not, the caller closes
 * it. */
bool stub_refs_opened(void *library, void *stub);

/* The library was closed once. The stub that is to be closed with it, or NULL. */
void *stub_refs_closed(const void *library);

#endif
