/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libraries.h - the libraries of a job that were left to ld.so, merged over its nodes: for the
 * report.
 *
 * What a node tells is text: "path NUL why NUL" for each (cache/left.h). A path is listed once,
 * with the first reason that was told and the number of nodes that told one. One thread.
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

/* All zero: empty. */
struct report_libraries {
    struct report_library items[REPORT_LIBRARIES];
    size_t n;
    uint64_t omitted; /* told, and no room for it */
};

void report_libraries_add(struct report_libraries *libraries, const char *text, size_t size,
                          uint32_t omitted);
void report_libraries_free(struct report_libraries *libraries);

#endif
