/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * imports.h - redirects the calls of a named function that one loaded object makes.
 *
 * An object calls a function of another object through a pointer in its own memory, the import
 * slot, which ld.so fills in (a GOT entry, or a pointer in its data; ELF gABI, "Relocation", and
 * the psABI of the machine). This module stores another address there. dlsym(3) and other objects
 * still find the original function.
 *
 * If slots are read-only after relocation (PT_GNU_RELRO), their page is made writable for a moment.
 *
 * Thread rules: any thread, but one at a time, and inside dl_iterate_phdr(3), so that the object
 * stays loaded.
 */
#ifndef FASTIMPORT_LDSO_IMPORTS_H
#define FASTIMPORT_LDSO_IMPORTS_H

#include <link.h>
#include <stddef.h>

struct import {
    const char *name;
    void *replacement;
};

/* Makes the slots of the object for these n functions point to the replacements. before[i] becomes
 * what such a slot held; it is left alone if there is no slot, or if ld.so has not looked the
 * function up yet (lazy binding). Returns the number of slots that point to a replacement now. */
size_t imports_redirect(const struct dl_phdr_info *object, const struct import *imports, size_t n,
                        void **before);

#endif
