/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * entries.h - the data of a plan: a list of keys, and the file that it comes from.
 *
 * Thread rules: the root's service thread.
 */
#ifndef FASTIMPORT_PLAN_ENTRIES_H
#define FASTIMPORT_PLAN_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/path.h"
#include "cache/extents.h"

enum { PLAN_MAX_AGE = 5, PLAN_MAX_ENTRIES = 1000000, PLAN_MAX_TOUCHED = 10000 };

struct plan_entry {
    char *path; /* owned */
    uint64_t argument;
    uint64_t size; /* of a file, in bytes, when it was last looked up */
    uint32_t length;
    uint16_t age; /* number of runs since a program last asked for it */
    uint8_t kind;
};

/* What a start has touched of a library. */
struct plan_touched {
    struct file_version file;
    struct record_extent *parts; /* owned; in units of EXTENT_ALIGN bytes */
    uint32_t n;
    uint16_t age; /* number of runs since a program last loaded it */
};

struct plan {
    char file[FI_PATH_MAX];     /* "": there is no plan */
    bool load, save;            /* is the file to be read, to be written? */
    bool refused;               /* the file was not used, and a message has said so */
    uint64_t key;               /* of the environment */
    struct plan_entry *entries; /* owned */
    size_t n, capacity;
    size_t loaded; /* number of entries that were read */
    size_t used;   /* of these, those that this run asked for; known after a complete merge */
    size_t missed; /* number of entries that this run has added */
    struct plan_touched *touched; /* owned */
    size_t n_touched, touched_room;
};

/* Adds a copy of the entry. False: no memory, or there are too many entries. */
bool plan_add(struct plan *plan, const struct plan_entry *entry);

/* Adds a copy of what was touched of a library, or puts it in the place of what is known of this
 * file. False: no memory, or there is too much. */
bool plan_add_touched(struct plan *plan, const struct plan_touched *touched);

/* Frees the entries, and what was touched. */
void plan_clear(struct plan *plan);

#endif
