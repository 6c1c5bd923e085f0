/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elf_file.h - the headers of a shared library that is read and not mapped.
 *
 * Reads the ELF header, the program headers, and on demand the section headers and relocations with
 * pread(2) (ELF gABI, chapters "ELF Header", "Sections", "Program Header" and "Dynamic Section").
 * What it reads may be hostile: every offset and size is checked.
 *
 * Internal to fill/mapped.c. Thread rules: one thread for each struct.
 */
#ifndef FASTIMPORT_FILL_ELF_FILE_H
#define FASTIMPORT_FILL_ELF_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fill/parts.h"

enum { ELF_SEGMENTS_MAX = 64 };

struct elf_file {
    int fd;
    uint64_t size;
    Elf64_Ehdr header;
    Elf64_Phdr segments[ELF_SEGMENTS_MAX];
    Elf64_Shdr *sections; /* owned; NULL until elf_file_sections() */
    size_t n_sections;
    char *section_names; /* owned */
    size_t section_names_size;
    Elf64_Dyn *dynamic; /* owned */
    size_t n_dynamic;
};

/* Reads the header and the program headers. Returns false if this is no 64-bit ELF file, or if one
 * of its PT_LOADs is not inside the file. */
bool elf_file_open(struct elf_file *file, int fd, uint64_t size);
void elf_file_close(struct elf_file *file);

/* Reads the section headers, their names and the dynamic section. Returns false if one of them is
 * missing or malformed. */
bool elf_file_sections(struct elf_file *file);

/* The name of a section; "" if it has none. */
const char *elf_file_section_name(const struct elf_file *file, const Elf64_Shdr *section);

/* The value of an entry of the dynamic section; 0 if there is none. */
uint64_t elf_file_dynamic(const struct elf_file *file, int64_t tag);

/* The offset in the file of an address. Returns false if no PT_LOAD has it. */
bool elf_file_offset(const struct elf_file *file, uint64_t address, uint64_t *offset);

/* Adds what relocations change in a range, and a little more; all are addresses. Returns false if
 * that is not known. */
bool elf_file_relocated(const struct elf_file *file, const struct part *range, struct parts *found);

#endif
