/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closure.h - the root's answer to dlopen: which libraries to load, from where, and in what order.
 *
 * libfastimport-elf.so computes it with libelf (elf/closure.h). closure_prepare() opens that DSO in
 * a link-map namespace of its own, in the root only and before the program runs, so that no look-up
 * waits for ld.so's lock. Every file that the search opens becomes content of the node cache. The
 * result is a RECORD_LIBRARY, whose key and payload cache/library_record.h describes.
 *
 * Calling order: closure_prepare() first, once. Thread rules: closure_lookup() any thread.
 */
#ifndef FASTIMPORT_DLOPEN_CLOSURE_H
#define FASTIMPORT_DLOPEN_CLOSURE_H

#include "fill/fill.h"
#include "policy/policy.h"

/* Opens the closure DSO, which is beside this library. Returns false after one warning if that
 * fails: libraries are then left to ld.so. */
bool closure_prepare(struct fill *fill, const struct policy *policy);

/* Computes and publishes the record for the query. Returns NULL if the index is full, or if a
 * planned closure is incomplete. RECORD_PLANNED in flags means that the program has not loaded
 * anything yet: the closure is computed as if all libraries of the plan before this one were
 * loaded. So the plan's libraries must come in order and from one thread at a time. */
const struct record *closure_lookup(struct node_cache *node, const struct fi_query *query,
                                    uint8_t flags);

/* For each library record that was used, marks the contents of its files as used. Call it before
 * plan_merge(). */
void closure_mark_used_files(const struct segment *segment);

#endif
