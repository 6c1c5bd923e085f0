/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * imports.h - redirects the calls that one loaded object makes of a named function.
 *
 * An object calls a function of another one through a pointer in its own memory, which ld.so fills
 * in: an import slot (a GOT entry, or a pointer in its data; ELF gABI, "Relocation", and the psABI
 * of the machine). Here such slots get another value. Nobody else notices: what dlsym(3) and other
 * objects find stays what it was.
 *
 * Where slots are read-only after relocation (PT_GNU_RELRO), their page is writable for a moment.
 *
 * Thread rules: any thread, but one at a time; inside dl_iterate_phdr(3), so that the object stays
 * loaded.
 */
#ifndef FASTIMPORT_LDSO_IMPORTS_H
#define FASTIMPORT_LDSO_IMPORTS_H

#include <link.h>
#include <stddef.h>

struct import {
    const char *name;
    void *replacement;
};

/* Lets the object's slots for these n functions point to their replacements. before[i]: what one of
 * them held; left alone where there is none, or where ld.so has not looked the function up yet
 * (lazy binding). Returns the number of slots that point to a replacement now. */
size_t imports_redirect(const struct dl_phdr_info *object, const struct import *imports, size_t n,
                        void **before);

#endif
