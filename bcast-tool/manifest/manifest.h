/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manifest.h - the list of what an archive or a staged tree holds. FORMAT.md has the format.
 *
 * It is written and read record by record, so that its size does not matter. Its last line has a
 * checksum of all lines before it.
 */
#ifndef BCAST_MANIFEST_MANIFEST_H
#define BCAST_MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "archive/tarread.h"
#include "base/error.h"

enum {
    MANIFEST_PREFIXES = 4,
    MANIFEST_RELOC = 8 /* size of record.reloc */
};

struct manifest_prefix {
    char *old;    /* absolute path, as the files have it */
    char *subdir; /* the directory of the tree that stands for it; "" for the top */
};

struct manifest_head {
    char kind[16];    /* venv, conda or dir; "unknown" for an archive without a manifest */
    char framing[16]; /* how the archive is cut: gz, zst or none */
    struct manifest_prefix prefix[MANIFEST_PREFIXES];
    int prefixes;
    uint64_t files; /* number of entries that take an inode */
    uint64_t bytes; /* of all files, each rounded up to 4 KiB */
};

struct record {
    struct entry entry;         /* its strings belong to whoever filled the record */
    uint64_t sum;               /* XXH3 of a file's data */
    char reloc[MANIFEST_RELOC]; /* "-", or t or b and the numbers of the prefixes: "t0", "b01" */
};

void manifest_head_free(struct manifest_head *h);

struct manifest_writer; /* opaque */

/* Writes to `out`, which stays the caller's. manifest_finish() flushes it. */
struct manifest_writer *manifest_create(FILE *out, const struct manifest_head *h);
void manifest_add(struct manifest_writer *w, const struct record *r);
/* Writes the last line and frees the writer. Returns 0, or -1 if anything could not be written. */
int manifest_finish(struct manifest_writer *w, struct error *err);

struct manifest_reader; /* opaque */

/* Reads the head. NULL with `err` set if `in` is no manifest, or one of a newer version. */
struct manifest_reader *manifest_open(FILE *in, struct error *err);
const struct manifest_head *manifest_head(const struct manifest_reader *r);
/* The next record, valid until the next call. Returns 1; 0 after a correct last line; -1 with `err`
 * set. */
int manifest_next(struct manifest_reader *r, struct record *record, struct error *err);
void manifest_close(struct manifest_reader *r); /* `in` stays open; NULL is allowed */

#endif
