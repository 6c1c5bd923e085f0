/* SPDX-License-Identifier: BSD-3-Clause */
/* dynamic.c - see dynamic.h */
#include "ldso/dynamic.h"

#include <string.h>

static bool is_inside(const struct dl_phdr_info *object, ElfW(Addr) at)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &object->dlpi_phdr[i];

        if (h->p_type == PT_LOAD && at - (object->dlpi_addr + h->p_vaddr) < h->p_memsz) {
            return true;
        }
    }
    return false;
}

/* On most machines ld.so relocates the addresses in a dynamic section, but never those in the
 * vDSO. They cannot be told by their size: an object may be linked to an address above the one
 * where it is loaded (prelink(8), some vDSOs). */
static const void *address_in(const struct dl_phdr_info *object, ElfW(Addr) at)
{
    return (const void *)(is_inside(object, at) ? at : at + object->dlpi_addr);
}

static const ElfW(Dyn) * find_section(const struct dl_phdr_info *object)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type == PT_DYNAMIC) {
            return (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        }
    }
    return NULL;
}

static void dynamic_read_entry(const struct dl_phdr_info *object, const ElfW(Dyn) * entry,
                               struct dynamic *out)
{
    const void *at = address_in(object, entry->d_un.d_ptr);
    size_t size = entry->d_un.d_val;

    switch (entry->d_tag) {
    case DT_SYMTAB:
        out->symbols = at;
        break;
    case DT_STRTAB:
        out->strings = at;
        break;
    case DT_STRSZ:
        out->strings_size = size;
        break;
    case DT_GNU_HASH:
        out->gnu_hash = at;
        break;
    case DT_HASH:
        out->hash = at;
        break;
    case DT_RELA:
        out->relocations[0].first = at;
        break;
    case DT_RELASZ:
        out->relocations[0].n = size / sizeof(ElfW(Rela));
        break;
    case DT_JMPREL:
        out->relocations[1].first = at;
        break;
    case DT_PLTRELSZ:
        out->relocations[1].n = size / sizeof(ElfW(Rela));
        break;
    default:
        break;
    }
}

bool dynamic_read(const struct dl_phdr_info *object, struct dynamic *out)
{
    *out = (struct dynamic){.section = find_section(object)};
    if (out->section == NULL) {
        return false;
    }
    for (const ElfW(Dyn) *entry = out->section; entry->d_tag != DT_NULL; entry++) {
        dynamic_read_entry(object, entry, out);
    }
    for (size_t i = 0; i < 2; i++) {
        if (out->relocations[i].first == NULL) {
            out->relocations[i].n = 0;
        }
    }
    return out->symbols != NULL && out->strings != NULL;
}

const char *dynamic_name(const struct dynamic *d, const ElfW(Sym) * symbol)
{
    return symbol->st_name < d->strings_size ? d->strings + symbol->st_name : "";
}

static bool dynamic_defines(const struct dynamic *d, const ElfW(Sym) * symbol, const char *name)
{
    return symbol->st_shndx != SHN_UNDEF && strcmp(dynamic_name(d, symbol), name) == 0;
}

/* DT_GNU_HASH: number of buckets, index of the first hashed symbol, words and shift of a Bloom
 * filter; then the filter, the buckets, and a hash for each symbol, whose lowest bit ends a
 * chain. */
struct gnu_hash {
    uint32_t n_buckets, first, bloom_words;
    const uint32_t *buckets, *chains;
};

static struct gnu_hash gnu_hash_of(const uint32_t *table)
{
    struct gnu_hash h = {table[0], table[1], table[2], NULL, NULL};

    h.buckets = table + 4 + h.bloom_words * (sizeof(ElfW(Addr)) / sizeof *table);
    h.chains = h.buckets + h.n_buckets;
    return h;
}

static const ElfW(Sym) * find_by_gnu_hash(const struct dynamic *d, const char *name)
{
    struct gnu_hash h = gnu_hash_of(d->gnu_hash);
    uint32_t hash = 5381;
    uint32_t at;

    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++) {
        hash = hash * 33 + *c;
    }
    at = h.n_buckets == 0 ? 0 : h.buckets[hash % h.n_buckets];
    for (; at >= h.first && at != 0; at++) {
        uint32_t other = h.chains[at - h.first];

        if ((other | 1) == (hash | 1) && dynamic_defines(d, &d->symbols[at], name)) {
            return &d->symbols[at];
        }
        if ((other & 1) != 0) {
            break;
        }
    }
    return NULL;
}

/* DT_HASH: number of buckets, number of symbols, buckets, chains. */
static const ElfW(Sym) * find_by_hash(const struct dynamic *d, const char *name)
{
    uint32_t n_symbols = d->hash[1];

    for (uint32_t i = 1; i < n_symbols; i++) {
        if (dynamic_defines(d, &d->symbols[i], name)) {
            return &d->symbols[i];
        }
    }
    return NULL;
}

const ElfW(Sym) * dynamic_definition(const struct dynamic *d, const char *name)
{
    if (d->gnu_hash != NULL) {
        return find_by_gnu_hash(d, name);
    }
    return d->hash != NULL ? find_by_hash(d, name) : NULL;
}

/* DT_GNU_HASH covers the symbols that the object defines; its imports are before them. If an object
 * defines nothing, GNU ld writes an empty table that does not tell the number of symbols. */
size_t dynamic_n_imports(const struct dynamic *d)
{
    struct gnu_hash h;

    if (d->hash != NULL) {
        return d->hash[1];
    }
    if (d->gnu_hash == NULL) {
        return 0;
    }
    h = gnu_hash_of(d->gnu_hash);
    for (uint32_t i = 0; i < h.n_buckets; i++) {
        if (h.buckets[i] != 0) {
            return h.first;
        }
    }
    return 0;
}

bool dynamic_may_import(const struct dynamic *d, const char *name)
{
    size_t n = dynamic_n_imports(d);

    for (size_t i = 1; i < n; i++) {
        if (d->symbols[i].st_shndx == SHN_UNDEF &&
            strcmp(dynamic_name(d, &d->symbols[i]), name) == 0) {
            return true;
        }
    }
    return n == 0;
}
