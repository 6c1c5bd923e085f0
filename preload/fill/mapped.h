/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapped.h - which parts of a shared library are copied into the mirror?
 *
 * ld.so maps what lies in the PT_LOADs (ELF gABI, "Program Header"). That is rounded to 64 KiB, the
 * largest page size, because what surrounds a segment in its pages is visible, too. Symbol tables
 * and debug sections are mostly behind the last one.
 *
 * Of a large library two things are left out, if they are large themselves:
 *
 * - holes: what lies between the segments, which nobody can map;
 * - cold sections: data in sections that no compiler makes for ordinary code (.nv_fatbin,
 *   .cask_resource, .lrodata), and that ld.so does not touch; what relocations change in them is
 *   copied. dlopen/originals.h maps the original there.
 *
 * Where it is known which parts an earlier run has touched (learnt.h), just these are copied, and
 * what ld.so uses before the original can be mapped (required.h).
 *
 * Where anything is unusual, more is copied. Thread rules: any thread.
 */
#ifndef FASTIMPORT_FILL_MAPPED_H
#define FASTIMPORT_FILL_MAPPED_H

#include "cache/extents.h"

struct mapped {
    struct record_extent *extents; /* owned; what is copied, if n > 0 */
    uint32_t n;
    uint64_t size; /* the number of bytes that are copied: without extents those at the start */
};

/* Examines an open file of `size` bytes. All of it is to be copied if it is not a 64-bit ELF file
 * or its headers are malformed. touched: what an earlier run has touched; no extents: not known. The
 * caller frees out->extents. */
void mapped_parts(int fd, uint64_t size, const struct extents *touched, struct mapped *out);

#endif
