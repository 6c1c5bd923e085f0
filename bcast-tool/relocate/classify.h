/* SPDX-License-Identifier: BSD-3-Clause */
/* classify.h - reads one file: its checksum, which prefixes are in it, and which way of relocation
 * its bytes allow. */
#ifndef BCAST_RELOCATE_CLASSIFY_H
#define BCAST_RELOCATE_CLASSIFY_H

#include <stdint.h>
#include <sys/types.h>

/* The question (prefixes, n) and the answer (all else). */
struct classify {
    const char *const *prefixes;
    int n;
    uint64_t sum, size; /* XXH3 and size of the file */
    unsigned hits;
    char mode; /* 't' text: no NUL byte; 'b' binary: an ELF file; '-' neither, not to be changed */
};

/* Reads `fd` from its start to its end. Returns 0, or -1 with errno. */
int classify_file(struct classify *c, int fd);

#endif
