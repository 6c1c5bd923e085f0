/* The list of what an archive or a staged tree holds. Format: FORMAT.md.
 *
 * Written and read as a stream, record by record, so that its size does not matter. A running
 * checksum in the last line covers all lines before it.
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
    char *old;    /* absolute, as it stands in the files */
    char *subdir; /* where it is inside the tree; "" for the top */
};

struct manifest_head {
    char kind[16];    /* venv, conda, dir; "unknown" for archives without a manifest */
    char framing[16]; /* of the archive: gz, zst, none */
    struct manifest_prefix prefix[MANIFEST_PREFIXES];
    int prefixes;
    uint64_t files,
        bytes; /* entries that take an inode; bytes of files, rounded up to 4 KiB each */
};

struct record {
    struct entry entry;         /* strings belong to whoever filled the record */
    uint64_t sum;               /* XXH3 of a file's data */
    char reloc[MANIFEST_RELOC]; /* "-", or 't'/'b' and the prefixes' numbers: "t0", "b01" */
};

void manifest_head_free(struct manifest_head *h);

struct manifest_writer; /* opaque */

/* Writes to `out`, which stays the caller's and is flushed by manifest_finish. */
struct manifest_writer *manifest_create(FILE *out, const struct manifest_head *h);
void manifest_add(struct manifest_writer *w, const struct record *r);
/* The last line. 0, or -1 if anything could not be written. Frees the writer. */
int manifest_finish(struct manifest_writer *w, struct error *err);

struct manifest_reader; /* opaque */

/* Reads the head. NULL with `err` set if it is not a manifest or of a newer version. */
struct manifest_reader *manifest_open(FILE *in, struct error *err);
const struct manifest_head *manifest_head(const struct manifest_reader *r);
/* 1 and a record (valid until the next call), 0 after a valid last line, -1 with `err` set. */
int manifest_next(struct manifest_reader *r, struct record *record, struct error *err);
void manifest_close(struct manifest_reader *r); /* `in` stays open; NULL is allowed */

#endif
