/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup.h - asks the real file system and puts its answer into the node cache.
 *
 * A look-up makes the operations that the call itself would make, and no more: an lstat, then stat
 * and readlink only for a symlink; a file is opened, examined by fstat and read once.
 *
 * Thread rules: any thread. The caller holds the claim of the key (fill.h), so that the work is not
 * done twice.
 */
#ifndef FASTIMPORT_FILL_LOOKUP_H
#define FASTIMPORT_FILL_LOOKUP_H

#include "cache/node.h"

struct lookup_limits {
    uint64_t max_file;
};

/* Publishes the record for the query and returns it; NULL if the index is full. What cannot be
 * cached (a file too large, a device, no room) becomes a record with RECORD_UNAVAILABLE. `flags` go
 * into the record. The bytes of a file (RECORD_CONTENT) go into the mirror. */
const struct record *lookup_real(struct node_cache *node, const struct fi_query *query,
                                 uint8_t flags, const struct lookup_limits *limits);

/* RECORD_LIBRARY is looked up by dlopen/closure.h. That folder is above this one, so it registers
 * its function here, in the root, before the program runs. Without it libraries are unavailable. */
typedef const struct record *lookup_library_fn(struct node_cache *node,
                                               const struct fi_query *query, uint8_t flags);
void lookup_set_library(lookup_library_fn *look_up);

#endif
