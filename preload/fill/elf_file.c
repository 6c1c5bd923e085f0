/* SPDX-License-Identifier: BSD-3-Clause */
/* elf_file.c - see elf_file.h */
#include "fill/elf_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#ifndef DT_RELRSZ
#define DT_RELRSZ 35
#endif

enum {
    SECTIONS_MAX = 4096,
    NAMES_MAX = 1 << 20,
    DYNAMIC_MAX = 1 << 16,
    RELOCATIONS_MAX = 256 << 20,
    RELOCATED_STEP = 4096, /* relocations close to each other are found together */
};

/* Reads `size` bytes into memory that the caller frees. NULL if they are not all there, or are more
 * than `most`. */
static void *elf_file_read(const struct elf_file *file, uint64_t offset, uint64_t size,
                           uint64_t most)
{
    void *bytes = size == 0 || size > most || offset > file->size || size > file->size - offset
                      ? NULL
                      : malloc((size_t)size + 1);

    if (bytes != NULL &&
        sys_pread_all(file->fd, bytes, (size_t)size, (off_t)offset) != (ssize_t)size) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

bool elf_file_open(struct elf_file *file, int fd, uint64_t size)
{
    Elf64_Ehdr *e = &file->header;
    size_t bytes;

    *file = (struct elf_file){.fd = fd, .size = size};
    if (sys_pread_all(fd, e, sizeof *e, 0) != sizeof *e ||
        memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_ident[EI_CLASS] != ELFCLASS64 ||
        e->e_phentsize != sizeof *file->segments || e->e_phnum == 0 ||
        e->e_phnum > ELF_SEGMENTS_MAX) {
        return false;
    }
    bytes = e->e_phnum * sizeof *file->segments;
    if (sys_pread_all(fd, file->segments, bytes, (off_t)e->e_phoff) != (ssize_t)bytes) {
        return false;
    }
    return true;
}

void elf_file_close(struct elf_file *file)
{
    free(file->sections);
    free(file->section_names);
    free(file->dynamic);
}

bool elf_file_offset(const struct elf_file *file, uint64_t address, uint64_t *offset)
{
    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_type == PT_LOAD && address >= h->p_vaddr && address - h->p_vaddr < h->p_filesz) {
            *offset = h->p_offset + (address - h->p_vaddr);
            return true;
        }
    }
    return false;
}

static bool elf_file_read_dynamic(struct elf_file *file)
{
    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_type == PT_DYNAMIC) {
            file->dynamic = elf_file_read(file, h->p_offset, h->p_filesz, DYNAMIC_MAX);
            file->n_dynamic = (size_t)(h->p_filesz / sizeof *file->dynamic);
            return file->dynamic != NULL;
        }
    }
    return false;
}

bool elf_file_sections(struct elf_file *file)
{
    const Elf64_Ehdr *e = &file->header;
    const Elf64_Shdr *names;

    if (e->e_shentsize != sizeof *file->sections || e->e_shnum == 0 || e->e_shnum > SECTIONS_MAX ||
        e->e_shstrndx >= e->e_shnum || !elf_file_read_dynamic(file)) {
        return false;
    }
    file->n_sections = e->e_shnum;
    file->sections =
        elf_file_read(file, e->e_shoff, e->e_shnum * sizeof *file->sections, UINT32_MAX);
    if (file->sections == NULL) {
        return false;
    }
    names = &file->sections[e->e_shstrndx];
    file->section_names_size = (size_t)names->sh_size;
    file->section_names = elf_file_read(file, names->sh_offset, names->sh_size, NAMES_MAX);
    if (file->section_names == NULL) {
        return false;
    }
    file->section_names[file->section_names_size] = '\0';
    return true;
}

const char *elf_file_section_name(const struct elf_file *file, const Elf64_Shdr *section)
{
    return section->sh_name < file->section_names_size ? file->section_names + section->sh_name
                                                       : "";
}

uint64_t elf_file_dynamic(const struct elf_file *file, int64_t tag)
{
    for (size_t i = 0; i < file->n_dynamic && file->dynamic[i].d_tag != DT_NULL; i++) {
        if (file->dynamic[i].d_tag == tag) {
            return file->dynamic[i].d_un.d_val;
        }
    }
    return 0;
}

/* Adds those of one table. */
static bool add_relocated(const struct elf_file *file, uint64_t address, uint64_t size,
                          const struct part *range, struct parts *found)
{
    uint64_t offset;
    Elf64_Rela *table;

    if (size == 0) {
        return true;
    }
    table = elf_file_offset(file, address, &offset)
                ? elf_file_read(file, offset, size, RELOCATIONS_MAX)
                : NULL;
    for (size_t i = 0; table != NULL && i < size / sizeof *table; i++) {
        uint64_t at = table[i].r_offset; /* none changes more than 16 bytes */
        const struct part *last = found->n == 0 ? NULL : &found->list[found->n - 1];

        if (at < range->to && at + 16 > range->from &&
            (last == NULL || at < last->from || at + 16 > last->to)) {
            parts_add(found, at, at + RELOCATED_STEP);
        }
    }
    free(table);
    return table != NULL;
}

bool elf_file_relocated(const struct elf_file *file, const struct part *range, struct parts *found)
{
    return elf_file_dynamic(file, DT_RELSZ) == 0 && elf_file_dynamic(file, DT_RELRSZ) == 0 &&
           add_relocated(file, elf_file_dynamic(file, DT_RELA), elf_file_dynamic(file, DT_RELASZ),
                         range, found) &&
           add_relocated(file, elf_file_dynamic(file, DT_JMPREL),
                         elf_file_dynamic(file, DT_PLTRELSZ), range, found) &&
           !found->failed;
}
