/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped.c - see mapped.h */
#include "fill/mapped.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "fill/elf_file.h"

/* A hole costs nothing. Cold sections cost each process an open of the original, and a read of what
 * it touches. */
enum { LARGE_LIBRARY = 4 << 20, HOLE_LEAST = 1 << 20, COLD_LEAST = 4 << 20 };

#ifndef DT_RELR
#define DT_RELR 36
#endif

static uint64_t round_down(uint64_t n)
{
    return n & ~(uint64_t)(EXTENT_ALIGN - 1);
}

static uint64_t round_up(uint64_t n)
{
    return round_down(n + EXTENT_ALIGN - 1);
}

/* A part of the file, from one offset to another. */
struct part {
    uint64_t from, to;
};

static bool parts_overlap(uint64_t from, uint64_t to, uint64_t offset, uint64_t size)
{
    return size > 0 && offset < to && from < offset + size;
}

static int compare_parts(const void *a, const void *b)
{
    const struct part *x = a;
    const struct part *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

/* --- what ld.so maps --- */

static bool is_in_file(const struct elf_file *file, const Elf64_Phdr *h)
{
    return h->p_offset < file->size && h->p_filesz <= file->size - h->p_offset;
}

static uint64_t end_of_segments(const struct elf_file *file)
{
    uint64_t end = 0;

    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_type == PT_LOAD && is_in_file(file, h) && h->p_offset + h->p_filesz > end) {
            end = h->p_offset + h->p_filesz;
        }
    }
    return end;
}

/* The parts of the file that are mapped, in order and without small gaps. Returns their number; 0:
 * not known. */
static size_t mapped_segments(const struct elf_file *file, struct part parts[ELF_SEGMENTS_MAX + 1])
{
    size_t n = 1;
    size_t merged = 0;

    parts[0] = (struct part){0, EXTENT_ALIGN}; /* the headers */
    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_filesz == 0 || h->p_type == PT_GNU_STACK) {
            continue;
        }
        if (!is_in_file(file, h)) {
            return 0;
        }
        parts[n++] = (struct part){round_down(h->p_offset), round_up(h->p_offset + h->p_filesz)};
    }
    qsort(parts, n, sizeof *parts, compare_parts);
    for (size_t i = 1; i < n; i++) {
        if (parts[i].from < parts[merged].to + HOLE_LEAST) {
            parts[merged].to = parts[i].to > parts[merged].to ? parts[i].to : parts[merged].to;
        } else {
            parts[++merged] = parts[i];
        }
    }
    return merged + 1;
}

/* --- what is cold --- */

/* Compilers put what a program reads into sections of these names. */
static bool is_ordinary_name(const char *name)
{
    static const char *const ordinary[] = {".text", ".rodata", ".data", ".eh_frame",
                                           ".gcc_except_table"};

    for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++) {
        if (strncmp(name, ordinary[i], strlen(ordinary[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* The segment whose bytes these are; NULL if they are not all in one, or not at the address. */
static const Elf64_Phdr *segment_of(const struct elf_file *file, const Elf64_Shdr *s)
{
    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_type == PT_LOAD && s->sh_offset >= h->p_offset &&
            s->sh_offset - h->p_offset <= h->p_filesz &&
            s->sh_size <= h->p_filesz - (s->sh_offset - h->p_offset)) {
            return s->sh_addr - h->p_vaddr == s->sh_offset - h->p_offset ? h : NULL;
        }
    }
    return NULL;
}

/* Does ld.so read or write there by itself? It may before the first initialiser runs. */
static bool is_used_by_loader(const struct elf_file *file, const struct part *cold)
{
    static const int64_t addresses[] = {
        DT_PLTGOT,     DT_HASH,          DT_STRTAB,   DT_SYMTAB, DT_RELA,   DT_INIT,
        DT_FINI,       DT_REL,           DT_JMPREL,   DT_RELR,   DT_VERSYM, DT_INIT_ARRAY,
        DT_FINI_ARRAY, DT_PREINIT_ARRAY, DT_GNU_HASH, DT_VERDEF, DT_VERNEED};

    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_type != PT_LOAD && h->p_type != PT_GNU_STACK &&
            parts_overlap(cold->from, cold->to, h->p_offset, h->p_filesz)) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        uint64_t address = elf_file_dynamic(file, addresses[i]);
        uint64_t offset;

        if (address != 0 && elf_file_offset(file, address, &offset) && offset >= cold->from &&
            offset < cold->to) {
            return true;
        }
    }
    return false;
}

/* Is there another section, or another segment that maps the bytes differently? */
static bool is_shared(const struct elf_file *file, const Elf64_Shdr *section,
                      const Elf64_Phdr *segment, const struct part *cold)
{
    for (size_t i = 0; i < file->n_sections; i++) {
        const Elf64_Shdr *s = &file->sections[i];

        if (s != section && s->sh_type != SHT_NOBITS && s->sh_type != SHT_NULL &&
            parts_overlap(cold->from, cold->to, s->sh_offset, s->sh_size)) {
            return true;
        }
    }
    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h != segment && h->p_type == PT_LOAD &&
            parts_overlap(cold->from, cold->to, h->p_offset, h->p_filesz)) {
            return true;
        }
    }
    return false;
}

/* The cold part of a section, if it has one. */
static bool cold_part(const struct elf_file *file, const Elf64_Shdr *s, struct part *cold)
{
    const uint64_t wanted = SHF_ALLOC;
    const uint64_t refused = SHF_EXECINSTR | SHF_TLS | SHF_COMPRESSED;
    const Elf64_Phdr *segment = NULL;

    if (s->sh_type == SHT_PROGBITS && s->sh_size >= COLD_LEAST && s->sh_size <= file->size &&
        s->sh_offset <= file->size && (s->sh_flags & (wanted | refused)) == wanted &&
        !is_ordinary_name(elf_file_section_name(file, s))) {
        segment = segment_of(file, s);
    }
    *cold = (struct part){round_up(s->sh_offset), round_down(s->sh_offset + s->sh_size)};
    return segment != NULL && cold->from + COLD_LEAST / 2 <= cold->to &&
           !is_shared(file, s, segment, cold) && !is_used_by_loader(file, cold) &&
           ((s->sh_flags & SHF_WRITE) == 0 ||
            !elf_file_relocates(file, s->sh_addr, s->sh_addr + s->sh_size));
}

static bool has_text_relocations(const struct elf_file *file)
{
    for (size_t i = 0; i < file->n_dynamic; i++) {
        if (file->dynamic[i].d_tag == DT_TEXTREL) {
            return true;
        }
    }
    return (elf_file_dynamic(file, DT_FLAGS) & DF_TEXTREL) != 0;
}

/* The cold parts in order; *n is their number. The caller frees the result. */
static struct part *cold_parts(struct elf_file *file, size_t *n)
{
    struct part *parts = NULL;

    *n = 0;
    if (elf_file_sections(file) && !has_text_relocations(file)) {
        parts = calloc(file->n_sections, sizeof *parts);
    }
    for (size_t i = 0; parts != NULL && i < file->n_sections; i++) {
        if (cold_part(file, &file->sections[i], &parts[*n])) {
            ++*n;
        }
    }
    if (*n > 1) {
        qsort(parts, *n, sizeof *parts, compare_parts);
    }
    return parts;
}

/* --- what is copied --- */

static void mapped_add(struct mapped *out, uint64_t from, uint64_t to, uint64_t file_size)
{
    to = to < file_size ? to : file_size;
    if (from < to) {
        out->extents[out->n++] = (struct record_extent){from, to - from};
        out->size += to - from;
    }
}

/* The mapped parts without the cold ones. */
static void mapped_subtract(const struct elf_file *file, const struct part *mapped, size_t n_mapped,
                            const struct part *cold, size_t n_cold, struct mapped *out)
{
    size_t c = 0;

    out->size = 0;
    for (size_t i = 0; i < n_mapped; i++) {
        uint64_t at = mapped[i].from;

        for (; c < n_cold && cold[c].to <= mapped[i].to; c++) {
            mapped_add(out, at, cold[c].from, file->size);
            at = cold[c].to;
        }
        mapped_add(out, at, mapped[i].to, file->size);
    }
}

static void find_parts(struct elf_file *file, struct mapped *out)
{
    struct part mapped[ELF_SEGMENTS_MAX + 1];
    size_t n_mapped = mapped_segments(file, mapped);
    size_t n_cold = 0;
    struct part *cold = n_mapped == 0 ? NULL : cold_parts(file, &n_cold);

    if (n_mapped > 1 || n_cold > 0) {
        out->extents = calloc(n_mapped + n_cold, sizeof *out->extents);
    }
    if (out->extents != NULL) {
        mapped_subtract(file, mapped, n_mapped, cold, n_cold, out);
    }
    free(cold);
}

void mapped_parts(int fd, uint64_t size, struct mapped *out)
{
    struct elf_file file;
    uint64_t end;

    *out = (struct mapped){.size = size};
    if (!elf_file_open(&file, fd, size) || (end = end_of_segments(&file)) == 0) {
        return;
    }
    end = round_up(end);
    out->size = end > size ? size : end;
    if (out->size >= LARGE_LIBRARY) {
        find_parts(&file, out);
    }
    elf_file_close(&file);
}
