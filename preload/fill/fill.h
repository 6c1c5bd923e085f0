/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill.h - a miss in the node cache: who gets the answer, and how long does a rank wait for it?
 *
 * One process per node and key does the work (single flight by segment_claim); the others sleep
 * until it is published. The root rank, and every rank once the service has ended, looks at the
 * real file system itself; other ranks wait a moment for the stream, in which the root's own
 * look-ups arrive unasked, and then ask the root through their leader. How long that moment is
 * adapts: it grows while the stream brings the answers anyway, and shrinks to nothing in a rank
 * that goes its own way.
 *
 * While the plan's bulk is on its way a rank is more patient: what it needs is probably in it.
 *
 * Many an answer follows from a directory's listing, which may be on its way, too: who waits for
 * the one waits for the other.
 *
 * Every wait has a bound: after `wait_ns` without a sign of life from the service the node goes on
 * alone.
 *
 * Thread rules: any thread of a rank; attached processes never come here.
 */
#ifndef FASTIMPORT_FILL_FILL_H
#define FASTIMPORT_FILL_FILL_H

#include "cache/node.h"
#include "fill/lookup.h"

struct fill {
    struct node_cache *node;
    struct lookup_limits limits;
    bool is_root;
    bool planned; /* there is a plan, so expect its bulk even before the leader has begun */
    int64_t wait_ns;
    _Atomic int64_t first_wait_ns; /* before asking */
};

void fill_init(struct fill *fill, struct node_cache *node, bool is_root, uint64_t max_file,
               uint64_t wait_ms);

/* The record for the query, got by whatever way; NULL with *why if the caller must make the real
 * call. With a listing (of the directory; else NULL) that record is returned instead if it comes
 * first. */
const struct record *fill_get(struct fill *fill, const struct fi_query *query,
                              const struct fi_query *listing, enum fallback_reason *why);

/* The same in the root's own search for libraries: what is looked up is marked RECORD_SEARCHED. */
const struct record *fill_search(struct fill *fill, const struct fi_query *query);

/* The root's work ahead (ahead.h): looks up what the caller has claimed, and gives the claim back.
 */
void fill_claimed(struct fill *fill, const struct fi_query *query);

/* The root's work for others: looks the query up unless it is there or under way. flags:
 * RECORD_BY_REQUEST or RECORD_PLANNED. */
void fill_for_others(struct fill *fill, const struct fi_query *query, uint8_t flags);

#endif
