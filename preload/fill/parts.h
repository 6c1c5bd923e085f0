/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parts.h - a growing list of parts of a file.
 *
 * Internal to this folder. A list that runs out of memory says so in `failed` and holds less. Thread
 * rules: one thread for each list.
 */
#ifndef FASTIMPORT_FILL_PARTS_H
#define FASTIMPORT_FILL_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From one offset to another. */
struct part {
    uint64_t from, to;
};

/* Start with {0}; free(list) at the end. */
struct parts {
    struct part *list; /* owned */
    size_t n, room;
    bool failed;
};

void parts_add(struct parts *parts, uint64_t from, uint64_t to);

/* Sorts them, and makes one of those that overlap or between which less than `gap` bytes lie. */
void parts_merge(struct parts *parts, uint64_t gap);

/* Adds what is in [from, to) but not in `without`, which is sorted. */
void parts_add_without(struct parts *parts, uint64_t from, uint64_t to,
                       const struct parts *without);

#endif
