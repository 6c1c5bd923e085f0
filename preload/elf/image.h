/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image.h - what ld.so reads from an ELF file: the header, with ld.so's own checks, and the dynamic
 * section.
 *
 * Only the program headers count, as in ld.so; section headers may be stripped or wrong. All
 * offsets and sizes are checked against the file before they are used.
 */
#ifndef FASTIMPORT_ELF_IMAGE_H
#define FASTIMPORT_ELF_IMAGE_H

#include <stddef.h>

#include "elf/pool.h"

enum fi_image_verdict {
    FI_IMAGE_OK = 0,
    FI_IMAGE_OTHER_MACHINE, /* other class or machine: ld.so goes on searching */
    FI_IMAGE_BAD,           /* ld.so gives up with an error */
    FI_IMAGE_NO_MEMORY,
};

/* The pool owns the strings. */
struct fi_image {
    const char *soname;  /* or NULL */
    const char *rpath;   /* or NULL; also NULL if there is a RUNPATH, which overrides it */
    const char *runpath; /* or NULL */
    int nodeflib;        /* DF_1_NODEFLIB */
    const char **needed; /* DT_NEEDED, DT_FILTER and DT_AUXILIARY in their order; NULL-terminated */
    const char *
        *optional; /* those of needed[] that are DT_AUXILIARY, the same pointers; NULL-terminated */
    size_t n_needed, n_optional;
};

/* Reads a file of `size` bytes. *out is complete only with FI_IMAGE_OK. */
enum fi_image_verdict fi_image_read(struct fi_pool *pool, const void *data, size_t size,
                                    struct fi_image *out);

#endif
