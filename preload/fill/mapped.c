/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped.c - see mapped.h */
#include "fill/mapped.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "fill/elf_file.h"
#include "fill/parts.h"
#include "fill/required.h"

/* A hole costs nothing. Cold sections cost each process an open of the original, and a read of what
 * it touches. */
enum {
    LARGE_LIBRARY = 4 << 20,
    LEARNT_LIBRARY = 1 << 20,
    HOLE_LEAST = 1 << 20,
    COLD_LEAST = 4 << 20,
    SAVED_LEAST = 512 << 10,
    GAP_LEAST = 64 << 10,
    GAPS_MOST = 512,
};

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

static bool parts_overlap(uint64_t from, uint64_t to, uint64_t offset, uint64_t size)
{
    return size > 0 && offset < to && from < offset + size;
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

/* Adds the parts of the file that are mapped, in order and without small gaps. Returns false if a
 * header is malformed. */
static bool mapped_segments(const struct elf_file *file, struct parts *parts)
{
    parts_add(parts, 0, EXTENT_ALIGN); /* the headers */
    for (int i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_filesz == 0 || h->p_type == PT_GNU_STACK) {
            continue;
        }
        if (!is_in_file(file, h)) {
            return false;
        }
        parts_add(parts, round_down(h->p_offset), round_up(h->p_offset + h->p_filesz));
    }
    parts_merge(parts, HOLE_LEAST);
    return true;
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

/* Could the section be cold? *cold becomes its part. */
static bool is_cold(const struct elf_file *file, const Elf64_Shdr *s, struct part *cold)
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
           !is_shared(file, s, segment, cold) && !is_used_by_loader(file, cold);
}

/* Adds the cold parts of a section: what relocations change in a writable one is copied. */
static void cold_part(const struct elf_file *file, const Elf64_Shdr *s, struct parts *parts)
{
    const struct part addresses = {s->sh_addr, s->sh_addr + s->sh_size};
    struct parts changed = {0};
    struct part cold;

    if (is_cold(file, s, &cold) &&
        ((s->sh_flags & SHF_WRITE) == 0 || elf_file_relocated(file, &addresses, &changed))) {
        for (size_t i = 0; i < changed.n; i++) {
            struct part *c = &changed.list[i];

            c->from = round_down(c->from - s->sh_addr + s->sh_offset);
            c->to = round_up(c->to - s->sh_addr + s->sh_offset);
        }
        parts_add(&changed, cold.from - 1, cold.from); /* so that no small part is left there */
        parts_add(&changed, cold.to, cold.to + 1);
        parts_merge(&changed, COLD_LEAST / 2);
        parts_add_without(parts, cold.from, cold.to, &changed);
    }
    free(changed.list);
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

/* Adds the cold parts, in order. The sections have been read. */
static void cold_parts(const struct elf_file *file, struct parts *parts)
{
    for (size_t i = 0; i < file->n_sections; i++) {
        cold_part(file, &file->sections[i], parts);
    }
    parts_merge(parts, 0);
}

/* --- what is copied --- */

/* Adds those of `touched` that are in [from, to). */
static void add_touched(struct parts *parts, const struct extents *touched, uint64_t from,
                        uint64_t to)
{
    for (uint32_t i = 0; i < touched->n; i++) {
        uint64_t at = round_down(touched->list[i].offset);
        uint64_t end = round_up(touched->list[i].offset + touched->list[i].length);

        parts_add(parts, at > from ? at : from, end < to ? end : to);
    }
}

/* Adds what an earlier run has touched and what must be there. Returns false if that is not known. */
static bool keep_touched(const struct elf_file *file, const struct extents *touched,
                         struct parts *keep)
{
    struct parts required = {0};
    bool known = touched->n > 0 && required_parts(file, &required) && !required.failed;

    parts_add(&required, 0, 1);
    for (int i = 0; known && i < file->header.e_phnum; i++) {
        const Elf64_Phdr *h = &file->segments[i];

        if (h->p_type == PT_LOAD) {
            add_touched(keep, touched, round_down(h->p_offset),
                        round_up(h->p_offset + h->p_filesz));
        }
    }
    for (size_t i = 0; known && i < required.n; i++) {
        parts_add(keep, round_down(required.list[i].from), round_up(required.list[i].to));
    }
    free(required.list);
    /* each gap is a mapping of its own in each process */
    for (uint64_t gap = GAP_LEAST; known; gap *= 2) {
        parts_merge(keep, gap);
        if (keep->n <= GAPS_MOST) {
            break;
        }
    }
    return known;
}

static void keep_mapped(const struct parts *mapped, const struct parts *cold, struct parts *keep)
{
    for (size_t i = 0; i < mapped->n; i++) {
        parts_add_without(keep, mapped->list[i].from, mapped->list[i].to, cold);
    }
}

/* Leaves *out as it is if it is not worth while, or memory is short. */
static void mapped_emit(const struct elf_file *file, const struct parts *keep, struct mapped *out)
{
    struct record_extent *extents =
        keep->failed || keep->n == 0 ? NULL : calloc(keep->n, sizeof *extents);
    uint64_t size = 0;
    uint32_t n = 0;

    for (size_t i = 0; extents != NULL && i < keep->n; i++) {
        uint64_t from = keep->list[i].from;
        uint64_t to = keep->list[i].to < file->size ? keep->list[i].to : file->size;

        if (from < to) {
            extents[n++] = (struct record_extent){from, to - from};
            size += to - from;
        }
    }
    if (extents == NULL || n > EXTENTS_MAX || size + SAVED_LEAST > out->size) {
        free(extents);
        return;
    }
    *out = (struct mapped){extents, n, size};
}

static void find_parts(struct elf_file *file, const struct extents *touched, struct mapped *out)
{
    struct parts mapped = {0};
    struct parts cold = {0};
    struct parts keep = {0};

    if (mapped_segments(file, &mapped) && !mapped.failed) {
        bool sound = elf_file_sections(file) && !has_text_relocations(file);

        if (!sound || !keep_touched(file, touched, &keep)) {
            if (sound) {
                cold_parts(file, &cold);
            }
            keep.n = 0;
            keep_mapped(&mapped, &cold, &keep);
        }
        mapped_emit(file, &keep, out);
    }
    free(mapped.list);
    free(cold.list);
    free(keep.list);
}

void mapped_parts(int fd, uint64_t size, const struct extents *touched, struct mapped *out)
{
    struct elf_file file;
    uint64_t end;

    *out = (struct mapped){.size = size};
    if (!elf_file_open(&file, fd, size) || (end = end_of_segments(&file)) == 0) {
        return;
    }
    end = round_up(end);
    out->size = end > size ? size : end;
    if (out->size >= (touched->n > 0 ? LEARNT_LIBRARY : LARGE_LIBRARY)) {
        find_parts(&file, touched, out);
    }
    elf_file_close(&file);
}
