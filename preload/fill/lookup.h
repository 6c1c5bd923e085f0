/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup.h - ask the real file system, and put its answer into the node cache.
 *
 * Makes the operations that the call itself would make, and no more: metadata ratio 1 is the aim
 * (an lstat, then stat and readlink only for a symlink; a file is opened, examined by fstat and
 * read once).
 *
 * Thread rules: any thread; the caller holds the key's claim (fill.h), so that nobody does the same
 * work twice.
 */
#ifndef FASTIMPORT_FILL_LOOKUP_H
#define FASTIMPORT_FILL_LOOKUP_H

#include "cache/node.h"

struct lookup_limits {
    uint64_t max_file;
};

/* Publishes the record for the query and returns it; NULL when the index is full. What cannot be
 * cached (a file too large, a device, no room) becomes a record with RECORD_UNAVAILABLE. `flags` go
 * into the record. */
const struct record *lookup_real(struct node_cache *node, const struct fi_query *query,
                                 uint8_t flags, const struct lookup_limits *limits);

/* A RECORD_LIBRARY is looked up by dlopen/closure.h, which is above this and registers itself here,
 * in the root, before the program runs. Without it libraries are unavailable. */
typedef const struct record *lookup_library_fn(struct node_cache *node,
                                               const struct fi_query *query, uint8_t flags);
void lookup_set_library(lookup_library_fn *look_up);

#endif
