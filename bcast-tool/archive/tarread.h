/* A tar stream as entries that passed the policy: names are normal, links stay inside, types and
 * modes are harmless. Absolute symlinks pass; they are the caller's to judge. libarchive does the
 * parsing. One caller. */
#ifndef BCAST_ARCHIVE_TARREAD_H
#define BCAST_ARCHIVE_TARREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"

enum entry_type { ENTRY_FILE = 'f', ENTRY_DIR = 'd', ENTRY_SYMLINK = 'l', ENTRY_HARDLINK = 'h' };

/* Of what was packed under another umask: what is staged, nobody else may write to. */
enum { ENTRY_MODE = 0755 };

struct entry {
    enum entry_type type;
    const char *path; /* normal; "" is the top directory */
    const char *link; /* symlink: as stored; hardlink: normal path; else NULL */
    mode_t mode;      /* permission bits */
    uint64_t size;    /* of a file's data */
    bool sparse;      /* the data may have holes */
    struct timespec mtime;
};

/* Delivers the next bytes of the tar: size, 0 at the end, -1 with `err` set. */
typedef ssize_t tar_next_block(void *context, const uint8_t **block, struct error *err);

/* More than this, over all entries, is taken for a bomb. */
struct tar_policy {
    uint64_t max_bytes, max_files;
};

struct tar; /* opaque */

/* `policy` is copied. */
struct tar *tar_open(tar_next_block *next, void *context, const struct tar_policy *policy);
void tar_close(struct tar *t); /* NULL is allowed */

/* 1 and the next entry (its strings are valid until the next call), 0 at the end, -1 with `err` set.
 */
int tar_next(struct tar *t, struct entry *e, struct error *err);

/* A piece of the current file's data at `*offset` (gaps are holes): its size, 0 at the end, or -1.
 */
ssize_t tar_data(struct tar *t, const uint8_t **data, uint64_t *offset, struct error *err);

#endif
