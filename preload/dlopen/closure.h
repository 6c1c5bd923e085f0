/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closure.h - the root's answer to dlopen: which libraries, from where, in what order.
 *
 * Computed with libelf in libfastimport-elf.so (elf/closure.h), which is opened in a link-map
 * namespace of its own by closure_prepare(), in the root only, before the program runs (so that no
 * look-up waits for ld.so's lock). Every file that the search opens becomes content of the node
 * cache; the result is a RECORD_LIBRARY.
 *
 * Its key and payload: cache/library_record.h.
 */
#ifndef FASTIMPORT_DLOPEN_CLOSURE_H
#define FASTIMPORT_DLOPEN_CLOSURE_H

#include "fill/fill.h"
#include "policy/policy.h"

/* Opens the closure DSO beside this library. False, with one warning, if that fails: libraries
 * are then left to ld.so. */
bool closure_prepare(struct fill *fill, const struct policy *policy);

/* Computes and publishes the record for the query. With RECORD_PLANNED in flags the program has not
 * loaded anything yet: the closure is computed as if what was planned before it were loaded, so the
 * plan's libraries must come in order and from one thread at a time. */
const struct record *closure_lookup(struct node_cache *node, const struct fi_query *query,
                                    uint8_t flags);

/* Marks the files of all libraries that were used as used, too: before plan_merge(). */
void closure_mark_used_files(const struct segment *segment);

#endif
