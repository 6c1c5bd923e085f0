/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stub.h - makes a tiny shared library that has nothing in it but what it needs.
 *
 * dlopen() of such a stub makes ld.so map the named libraries in the given order, in one scope,
 * before it looks at what they need themselves. Layout: ELF gABI, chapters "Object Files" and
 * "Dynamic Linking"; machine and flags are copied from this library's own header. There is no hash
 * table (ld.so then looks for no symbol in it) and no section.
 */
#ifndef FASTIMPORT_LDSO_STUB_H
#define FASTIMPORT_LDSO_STUB_H

#include <stddef.h>

struct stub {
    const char *const *needed; /* DT_NEEDED, in order */
    size_t n_needed;
    const char *rpath;       /* DT_RPATH; NULL: none */
    const char *constructor; /* a function of the global scope, void (void), called when it is
                                loaded; NULL: none */
};

/* Does this machine's stub know how to call a constructor? */
extern const int stub_can_call;

/* The file's bytes, to be freed by the caller, and their number; NULL: no memory. */
void *stub_make(const struct stub *stub, size_t *size);

#endif
