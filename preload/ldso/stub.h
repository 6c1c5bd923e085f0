/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stub.h - makes a tiny shared library that contains nothing but the names of the libraries that it
 * needs.
 *
 * dlopen() of such a stub makes ld.so map these libraries in the given order, in one scope, before
 * it looks at what they need themselves.
 *
 * Layout: ELF gABI, chapters "Object Files" and "Dynamic Linking". Machine and flags are copied
 * from this library's own header. The stub has no hash table, so ld.so looks for no symbol in it,
 * and no sections. Thread rules: any thread.
 */
#ifndef FASTIMPORT_LDSO_STUB_H
#define FASTIMPORT_LDSO_STUB_H

#include <stddef.h>

struct stub {
    const char *const *needed; /* DT_NEEDED entries, in order */
    size_t n_needed;
    const char *rpath; /* DT_RPATH; NULL: none */
    /* name of a void (void) function of the global scope that ld.so calls when it loads the stub;
     * NULL: none */
    const char *constructor;
};

/* Can a stub call a constructor on this machine? */
extern const int stub_can_call;

/* Returns the bytes of the file, which the caller frees, and their number in *size; NULL if memory
 * is short. */
void *stub_make(const struct stub *stub, size_t *size);

#endif
