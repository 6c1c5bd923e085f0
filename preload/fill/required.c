/* SPDX-License-Identifier: BSD-3-Clause */
/* required.c - see required.h */
#include "fill/required.h"

/* A table is the section that begins where the dynamic section says. */
static bool add_table(const struct elf_file *file, uint64_t address, struct parts *parts)
{
    uint64_t offset;

    if (address == 0) {
        return true;
    }
    for (size_t i = 0; i < file->n_sections; i++) {
        const Elf64_Shdr *s = &file->sections[i];

        if (s->sh_type != SHT_NOBITS && (s->sh_flags & SHF_ALLOC) != 0 && s->sh_addr == address &&
            s->sh_size > 0 && s->sh_size <= file->size && s->sh_offset <= file->size &&
            elf_file_offset(file, address, &offset) && offset == s->sh_offset) {
            parts_add(parts, s->sh_offset, s->sh_offset + s->sh_size);
            return true;
        }
    }
    return false;
}

bool required_parts(const struct elf_file *file, struct parts *parts)
{
    static const int64_t tables[] = {DT_HASH,   DT_GNU_HASH, DT_STRTAB, DT_SYMTAB,
                                     DT_VERSYM, DT_VERDEF,   DT_VERNEED};
    uint64_t strings;
    uint64_t offset;

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (!add_table(file, elf_file_dynamic(file, tables[i]), parts)) {
            return false;
        }
    }
    strings = elf_file_dynamic(file, DT_STRTAB);
    if (elf_file_offset(file, strings, &offset)) { /* as long as the dynamic section says, too */
        parts_add(parts, offset, offset + (elf_file_dynamic(file, DT_STRSZ) & UINT32_MAX));
    }
    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_type == PT_DYNAMIC || h->p_type == PT_NOTE || h->p_type == PT_GNU_PROPERTY ||
            h->p_type == PT_INTERP || h->p_type == PT_PHDR) {
            parts_add(parts, h->p_offset, h->p_offset + h->p_filesz);
        }
        if (h->p_type == PT_LOAD && h->p_memsz > h->p_filesz && h->p_filesz > 0) {
            parts_add(parts, h->p_offset + h->p_filesz - 1, h->p_offset + h->p_filesz);
        }
    }
    return true;
}
