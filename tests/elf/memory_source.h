/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_source.h - a source of files that live in memory, for unit tests and fuzzing.
 *
 * Directories are those that files stand in, and those added as such. Reads stay inside a copy of
 * each file made by open(), so that a sanitizer sees one byte too many.
 */
#ifndef FASTIMPORT_TESTS_ELF_MEMORY_SOURCE_H
#define FASTIMPORT_TESTS_ELF_MEMORY_SOURCE_H

#include "elf/closure.h"

enum { MEMORY_FILES_MAX = 64 };

struct memory_file {
    const char *path;
    const void *data; /* NULL: a directory */
    size_t size;
    unsigned long ino; /* 0: numbered by its place; same number, same file */
    int error;         /* open() gives this errno */
};

struct memory_files {
    struct memory_file files[MEMORY_FILES_MAX];
    size_t n;
    size_t opened, still_open;
};

/* Points *out at the files; adds nothing. */
void memory_source(struct memory_files *files, struct fi_elf_source *out);

struct memory_file *memory_add(struct memory_files *files, const char *path, const void *data,
                               size_t size);

#endif
