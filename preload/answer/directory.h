/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * directory.h - a directory stream over a cached listing.
 *
 * Its address is handed out as a DIR *; directory_of() tells ours from libc's by the first word,
 * which in libc's is a descriptor and a lock and can never be ours. As with libc's streams, one
 * stream is for one thread at a time.
 */
#ifndef FASTIMPORT_ANSWER_DIRECTORY_H
#define FASTIMPORT_ANSWER_DIRECTORY_H

#include <dirent.h>
#include <stdint.h>

#include "cache/record.h"

struct directory {
    uint64_t magic;
    const struct record *list;
    const struct record_list_entry *at; /* the entry read last; NULL at the start */
    long position;
    bool ended;
    _Atomic int fd; /* of the real directory; -1 until somebody wants it */
    int slot;       /* in the table of open streams; -1: it had no room */
    DIR *real;      /* libc's stream, which has taken over (intercept/dir.c); else NULL */
    struct dirent entry;
};

/* NULL: no memory. */
struct directory *directory_open(const struct record *list);
struct directory *directory_of(DIR *dir);
struct dirent *directory_read(struct directory *directory);
void directory_seek(struct directory *directory, long position);
/* The descriptor of the real directory, or -errno. */
int directory_fd(struct directory *directory);
/* A directory is about to be moved or removed: open streams get hold of theirs while they can be
 * found by name. Any thread. */
void directory_hold_all(void);
void directory_close(struct directory *directory);

#endif
