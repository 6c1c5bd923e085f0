/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extents.h - which parts of a file a partial copy in the mirror holds.
 *
 * A large library is copied in parts: what no process can map, and what programs rarely touch,
 * stays in the original. The extents of a copy are in ascending order, do not touch each other, and
 * begin and end at multiples of EXTENT_ALIGN (the largest page size), but for the end of the file.
 * No extents mean that the copy holds the bytes from the start of the file on.
 *
 * They lie in a RECORD_CONTENT (partial.h). Pure functions.
 */
#ifndef FASTIMPORT_CACHE_EXTENTS_H
#define FASTIMPORT_CACHE_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { EXTENT_ALIGN = 65536, EXTENTS_MAX = 4096 };

struct record_extent {
    uint64_t offset, length; /* bytes of the file */
};

/* A version of a file: what changes when the file is edited. */
struct file_version {
    uint64_t inode, size;
    int64_t seconds, nanoseconds; /* mtime */
};

static inline struct file_version file_version_of(const struct stat *st)
{
    return (struct file_version){st->st_ino, (uint64_t)st->st_size, st->st_mtim.tv_sec,
                                 st->st_mtim.tv_nsec};
}

/* Borrowed from whoever made them. n == 0: none. */
struct extents {
    const struct record_extent *list;
    uint32_t n;
};

/* Are they as this header says, in a file of this size? */
bool extents_valid(const struct extents *extents, uint64_t file_size);

/* The number of bytes in all extents. */
uint64_t extents_total(const struct extents *extents);

/* The offset in the file of byte number `position` of the copied bytes; *run is how many bytes
 * follow it there. Without extents the offset is the position, and *run has no limit. */
uint64_t extents_locate(const struct extents *extents, uint64_t position, uint64_t *run);

/* Finds the first part of [from, to) that no extent covers. Returns false if there is none. */
bool extents_gap(const struct extents *extents, uint64_t from, uint64_t to,
                 struct record_extent *gap);

#endif
