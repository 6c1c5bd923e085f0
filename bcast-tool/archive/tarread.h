/* SPDX-License-Identifier: BSD-3-Clause */
/* tarread.h - a tar stream as a sequence of entries that are safe to create: their names are
 * normal, relative links stay inside the tree, types and modes are harmless. Absolute symlinks
 * pass: the caller must decide about them. libarchive parses the tar. There is one caller. */
#ifndef BCAST_ARCHIVE_TARREAD_H
#define BCAST_ARCHIVE_TARREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"

enum entry_type { ENTRY_FILE = 'f', ENTRY_DIR = 'd', ENTRY_SYMLINK = 'l', ENTRY_HARDLINK = 'h' };

/* The permission bits that are kept, whatever the umask was under which a file was packed: nobody
 * but the owner may write to what is staged. */
enum { ENTRY_MODE = 0755 };

struct entry {
    enum entry_type type;
    const char *path; /* normal form; "" is the top directory */
    /* A symlink's target as stored, a hardlink's in normal form; else NULL. */
    const char *link;
    mode_t mode;   /* permission bits */
    uint64_t size; /* bytes of a file's data */
    bool sparse;   /* the data may have holes */
    struct timespec mtime;
};

/* Delivers the next bytes of the tar. Returns how many; 0 at the end; -1 with `err` set. */
typedef ssize_t tar_next_block(void *context, const uint8_t **block, struct error *err);

/* Limits over all entries. An archive with more is refused: it could fill the disk (a "bomb"). */
struct tar_policy {
    uint64_t max_bytes, max_files;
};

struct tar; /* opaque */

/* `policy` is copied. */
struct tar *tar_open(tar_next_block *next, void *context, const struct tar_policy *policy);
void tar_close(struct tar *t); /* NULL is allowed */

/* The next entry, whose strings are valid until the next call. Returns 1; 0 at the end; -1 with
 * `err` set. */
int tar_next(struct tar *t, struct entry *e, struct error *err);

/* The next piece of the current file's data, which belongs at `*offset`; what no piece covers is a
 * hole. Returns its size; 0 at the end; -1 with `err` set. */
ssize_t tar_data(struct tar *t, const uint8_t **data, uint64_t *offset, struct error *err);

#endif
