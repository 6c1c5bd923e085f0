/* SPDX-License-Identifier: BSD-3-Clause */
/* entries.h - what a plan is: a list of keys, and where it is kept. */
#ifndef FASTIMPORT_PLAN_ENTRIES_H
#define FASTIMPORT_PLAN_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_MAX_AGE = 5, PLAN_MAX_ENTRIES = 1000000 };

struct plan_entry {
    char *path;
    uint64_t argument;
    uint64_t size; /* of a file, when it was last seen */
    uint32_t length;
    uint16_t age; /* runs in which nobody asked for it */
    uint8_t kind;
};

struct plan {
    char file[4096]; /* "" : no plan is kept */
    bool load, save;
    bool refused; /* it could not be read, and a line said so */
    uint64_t key;
    struct plan_entry *entries;
    size_t n, room;
    size_t loaded; /* entries that were read */
    size_t used;   /* of these, asked for in this run; known after a complete merge */
    size_t missed; /* what was asked for and had to be added */
};

/* For plan_file.c: a copy of the entry. False: no memory, or there are too many. */
bool plan_add(struct plan *plan, const struct plan_entry *entry);

#endif
