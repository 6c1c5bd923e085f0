/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dynamic.h - the dynamic section of an object that ld.so has loaded: its symbols and relocations.
 *
 * Source: ELF gABI, chapter "Dynamic Linking"; for DT_GNU_HASH glibc's elf/dl-lookup.c and
 * binutils' bfd/elflink.c.
 *
 * Ownership: everything points into the object's own memory and is valid as long as the object is
 * loaded. Takes no lock and allocates nothing.
 *
 * Thread rules: any thread, as long as the object stays loaded (for example inside
 * dl_iterate_phdr(3)).
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

/* Returns false if the object has no dynamic section, or one without symbols; what it has is filled
 * in all the same. */
bool dynamic_read(const struct dl_phdr_info *object, struct dynamic *out);

/* The symbol of this name that this object defines; NULL if it does not. */
const ElfW(Sym) * dynamic_definition(const struct dynamic *dynamic, const char *name);

/* The number of entries at the start of the symbol table that hold all imports of the object; 0:
 * not known. */
size_t dynamic_n_imports(const struct dynamic *dynamic);

/* Does the object import this function? True also if that is not known. */
bool dynamic_may_import(const struct dynamic *dynamic, const char *name);

/* A symbol's name; "" if it lies outside the string table. */
const char *dynamic_name(const struct dynamic *dynamic, const ElfW(Sym) * symbol);

#endif
