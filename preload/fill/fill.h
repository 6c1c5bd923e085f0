/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill.h - what happens on a miss in the node cache: who gets the record, and how long does a rank
 * wait for it?
 *
 * For each key one process of the node does the work (single flight, by segment_claim()); the
 * others sleep until the record is published. The root, and every rank once the service has ended,
 * uses the real file system. Other ranks first wait for the stream, which brings what the root's
 * own program looks up. Then they ask the root through their leader.
 *
 * The time of that first wait adapts itself. It grows while the stream brings the records anyway,
 * and shrinks to almost nothing in a rank that asks for other files than the root. While the plan's
 * records are arriving it is longer, because the record is probably among them.
 *
 * Many answers follow from the listing of a directory, which may be arriving, too: a rank waits for
 * both at once.
 *
 * Every wait is bounded. After `wait_ns` without a sign of life from the service the node uses the
 * file system itself: in a job of several nodes until it hears from the root again
 * (changes_may_be_missed()), in a job of one node from then on.
 *
 * A descendant of a rank is a guest: it asks the root through the leader of its node, too, but looks
 * nothing up for others. Once the service has ended, or where a filter of system calls is in force
 * that the ranks do not have, it gets what the cache holds.
 *
 * Thread rules: any thread. Times are nanoseconds.
 */
#ifndef FASTIMPORT_FILL_FILL_H
#define FASTIMPORT_FILL_FILL_H

#include "cache/node.h"
#include "fill/lookup.h"

struct fill {
    struct node_cache *node;
    struct lookup_limits limits;
    bool is_root;
    bool is_guest;
    bool planned; /* there is a plan: expect its records even before the leader has begun */
    int64_t wait_ns;
    _Atomic int64_t first_wait_ns; /* the adaptive wait for the stream before a request */
};

/* is_root: this process is the root; max_file: largest file to cache, bytes; wait_ms: wait_ns in
 * milliseconds. The caller then sets `planned`. */
void fill_init(struct fill *fill, struct node_cache *node, bool is_root, uint64_t max_file,
               uint64_t wait_ms);

/* The same for a descendant of a rank. */
void fill_init_guest(struct fill *fill, struct node_cache *node, uint64_t wait_ms);

/* Gets the record for the query, by any of these ways. Returns NULL if the caller must make the
 * real call, with the reason in *why. `listing` is the query for the directory's listing, or NULL;
 * that record is returned if it comes first. */
const struct record *fill_get(struct fill *fill, const struct fi_query *query,
                              const struct fi_query *listing, enum fallback_reason *why);

/* Tells the user, once a node, that the root is silent and what follows. */
void fill_tell_silence(struct fill *fill);

/* As fill_get(), for the root's search for libraries: what it looks up is marked
 * RECORD_SEARCHED. */
const struct record *fill_search(struct fill *fill, const struct fi_query *query);

/* For the root's prefetch (prefetch.h): looks up a query that the caller has claimed
 * (segment_claim()), and releases the claim. */
void fill_and_unclaim(struct fill *fill, const struct fi_query *query);

/* For the root, on behalf of others: looks the query up unless its record is there or under way.
 * flags: RECORD_BY_REQUEST or RECORD_PLANNED. */
void fill_for_others(struct fill *fill, const struct fi_query *query, uint8_t flags);

#endif
