/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libraries.h - the libraries that could not be served and were left to ld.so, merged over all
 * nodes: for the report.
 *
 * A node tells them as text: "path NUL why NUL" for each (cache/unserved.h). A path is listed once,
 * with the first reason and the number of nodes that named it.
 *
 * Thread rules: one thread.
 */
#ifndef FASTIMPORT_REPORT_LIBRARIES_H
#define FASTIMPORT_REPORT_LIBRARIES_H

#include <stddef.h>
#include <stdint.h>

enum { REPORT_LIBRARIES = 512 };

struct report_library {
    char *path; /* owned */
    char *why;  /* owned */
    unsigned nodes;
};

/* All bytes zero: an empty list. */
struct report_libraries {
    struct report_library items[REPORT_LIBRARIES];
    size_t n;
    uint64_t omitted; /* libraries that nodes named, but for which there was no space */
};

/* Adds what a node tells: `size` bytes of text, and the number of libraries that it has omitted. */
void report_libraries_add(struct report_libraries *libraries, const char *text, size_t size,
                          uint32_t omitted);
void report_libraries_free(struct report_libraries *libraries);

#endif
