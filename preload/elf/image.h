/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image.h - what ld.so reads from one ELF file: its checks of the header, and the dynamic section.
 *
 * Goes by the program headers alone, as ld.so does: section headers may be stripped or wrong. All
 * offsets and sizes are checked against the file before they are used.
 */
#ifndef FASTIMPORT_ELF_IMAGE_H
#define FASTIMPORT_ELF_IMAGE_H

#include <stddef.h>

#include "elf/pool.h"

enum fi_image_verdict {
    FI_IMAGE_OK = 0,
    FI_IMAGE_OTHER_MACHINE, /* other class or machine: ld.so goes on searching */
    FI_IMAGE_BAD,           /* ld.so stops with an error */
    FI_IMAGE_NO_MEMORY,
};

/* Strings belong to the pool. */
struct fi_image {
    const char *soname;  /* or NULL */
    const char *rpath;   /* or NULL; NULL too where a RUNPATH makes it void */
    const char *runpath; /* or NULL */
    int nodeflib;        /* DF_1_NODEFLIB */
    const char **needed; /* NULL-terminated; DT_NEEDED, DT_FILTER and DT_AUXILIARY in their order */
    const char *
        *optional; /* NULL-terminated; those of needed[] that are DT_AUXILIARY, by pointer */
    size_t n_needed, n_optional;
};

enum fi_image_verdict fi_image_read(struct fi_pool *pool, const void *data, size_t size,
                                    struct fi_image *out);

#endif
