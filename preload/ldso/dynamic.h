/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dynamic.h - the dynamic section of an object that ld.so has loaded: its symbols and relocations.
 *
 * Source: ELF gABI, chapter "Dynamic Linking"; for DT_GNU_HASH glibc's elf/dl-lookup.c and
 * binutils' bfd/elflink.c. What is read lies in the object's own memory: it is good for as long as
 * the object is loaded. No lock is taken, nothing is allocated.
 *
 * Thread rules: any thread, as long as the object stays loaded (as inside dl_iterate_phdr(3)).
 */
#ifndef FASTIMPORT_LDSO_DYNAMIC_H
#define FASTIMPORT_LDSO_DYNAMIC_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dynamic_relocations {
    const ElfW(Rela) * first;
    size_t n;
};

struct dynamic {
    const ElfW(Dyn) * section; /* ends with DT_NULL */
    const ElfW(Sym) * symbols;
    const char *strings;
    size_t strings_size;                       /* bytes */
    const uint32_t *gnu_hash;                  /* DT_GNU_HASH; NULL: none */
    const uint32_t *hash;                      /* DT_HASH; NULL: none */
    struct dynamic_relocations relocations[2]; /* DT_RELA and DT_JMPREL */
};

/* False: the object has no dynamic section, or one without symbols. */
bool dynamic_read(const struct dl_phdr_info *object, struct dynamic *out);

/* The symbol, if this object itself defines it; NULL: it does not. */
const ElfW(Sym) * dynamic_definition(const struct dynamic *dynamic, const char *name);

/* How many entries, from the first on, of the symbol table hold all the symbols that the object
 * imports; 0: not known. */
size_t dynamic_n_imports(const struct dynamic *dynamic);

/* Does the object import this function? True, too, where that is not known. */
bool dynamic_may_import(const struct dynamic *dynamic, const char *name);

/* A symbol's name; "" if it lies outside the string table. */
const char *dynamic_name(const struct dynamic *dynamic, const ElfW(Sym) * symbol);

#endif
