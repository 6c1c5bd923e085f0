/* SPDX-License-Identifier: BSD-3-Clause */
/* imports.c - see imports.h */
#include "ldso/imports.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ldso/dynamic.h"
#include "ldso/machine.h"

struct object {
    const struct dl_phdr_info *info;
    struct dynamic dynamic;
    uintptr_t begin, end;             /* of all its segments */
    uintptr_t relro_begin, relro_end; /* whole pages that ld.so has made read-only */
};

static uintptr_t page_down(uintptr_t at)
{
    return at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
}

static void find_spans(struct object *o)
{
    for (size_t i = 0; i < o->info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &o->info->dlpi_phdr[i];
        uintptr_t begin = o->info->dlpi_addr + h->p_vaddr;
        uintptr_t end = begin + h->p_memsz;

        if (h->p_type == PT_LOAD) {
            o->begin = o->begin == 0 || begin < o->begin ? begin : o->begin;
            o->end = end > o->end ? end : o->end;
        } else if (h->p_type == PT_GNU_RELRO) {
            o->relro_begin = page_down(begin);
            o->relro_end = page_down(end);
        }
    }
}

static bool is_import(const ElfW(Sym) * symbol)
{
    return symbol->st_shndx == SHN_UNDEF && symbol->st_name != 0;
}

/* The index of the name in the table; n if it is not there. Most names already differ in the first
 * letter. */
static size_t index_of(const struct import *imports, size_t n, const char *name)
{
    size_t i = 0;

    while (i < n && (imports[i].name[0] != name[0] || strcmp(imports[i].name, name) != 0)) {
        i++;
    }
    return i;
}

/* A quick look at the symbols: reading all relocations of a large library would take
 * milliseconds. */
static bool may_import(const struct dynamic *d, const struct import *imports, size_t n)
{
    size_t n_symbols = dynamic_n_imports(d);

    for (size_t i = 1; i < n_symbols; i++) {
        if (is_import(&d->symbols[i]) &&
            index_of(imports, n, dynamic_name(d, &d->symbols[i])) < n) {
            return true;
        }
    }
    return n_symbols == 0;
}

static bool set_slot(const struct object *o, void **slot, void *value)
{
    uintptr_t page = page_down((uintptr_t)slot);
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    bool read_only = page >= o->relro_begin && page < o->relro_end;

    if (read_only && mprotect((void *)page, size, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
    if (read_only) {
        mprotect((void *)page, size, PROT_READ);
    }
    return true;
}

static bool is_pointer_to_symbol(const ElfW(Rela) * r)
{
    unsigned type = (unsigned)MACHINE_RELOCATION_TYPE(r->r_info);

    return type == MACHINE_JUMP_SLOT || type == MACHINE_GLOB_DAT ||
           (type == MACHINE_ABSOLUTE && r->r_addend == 0);
}

/* Before lazy binding a slot points into the procedure linkage table of the object itself. */
static bool is_bound(const struct object *o, const void *value)
{
    return (uintptr_t)value < o->begin || (uintptr_t)value >= o->end;
}

static bool redirect_slot(const struct object *o, void **slot, const struct import *import,
                          void **before)
{
    void *value = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

    if (value == import->replacement) {
        return true;
    }
    if (value == NULL) { /* a weak symbol that no object defines */
        return false;
    }
    if (is_bound(o, value)) {
        *before = value;
    }
    return set_slot(o, slot, import->replacement);
}

size_t imports_redirect(const struct dl_phdr_info *info, const struct import *imports, size_t n,
                        void **before)
{
    struct object o = {.info = info};
    size_t redirected = 0;

    if (MACHINE_ABSOLUTE == 0 || !dynamic_read(info, &o.dynamic) ||
        !may_import(&o.dynamic, imports, n)) {
        return 0;
    }
    find_spans(&o);
    for (size_t k = 0; k < 2; k++) {
        const struct dynamic_relocations *list = &o.dynamic.relocations[k];

        for (size_t i = 0; i < list->n; i++) {
            const ElfW(Rela) *r = &list->first[i];
            const ElfW(Sym) *symbol = &o.dynamic.symbols[MACHINE_RELOCATION_SYMBOL(r->r_info)];
            size_t at = is_pointer_to_symbol(r) && is_import(symbol)
                            ? index_of(imports, n, dynamic_name(&o.dynamic, symbol))
                            : n;

            if (at < n) {
                void **slot = (void **)(info->dlpi_addr + r->r_offset);

                redirected += redirect_slot(&o, slot, &imports[at], &before[at]);
            }
        }
    }
    return redirected;
}
