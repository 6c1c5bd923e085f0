/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * touched.h - which pages of the libraries that ld.so has loaded this process has in use.
 *
 * Source: /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst in Linux), which every
 * process may read for itself, but for the numbers of the frames. A page that the kernel has taken
 * back counts as not touched. The kernel maps the pages around one that is touched, too, so the
 * parts are rounded to TOUCHED_WINDOW.
 *
 * Thread rules: any thread. ld.so's lock is held only while the list of objects is copied.
 */
#ifndef FASTIMPORT_LDSO_TOUCHED_H
#define FASTIMPORT_LDSO_TOUCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOUCHED_WINDOW = 65536 };

struct touched_part {
    uint64_t from, to; /* offsets in the file, multiples of TOUCHED_WINDOW */
};

/* Calls `found` for each object that was loaded from a file, with its name in the link map and its
 * parts, which are in no order and may overlap. Returns false if the kernel does not tell, or memory
 * is short. */
bool touched_all(void (*found)(void *context, const char *name, const struct touched_part *parts,
                               size_t n),
                 void *context);

#endif
