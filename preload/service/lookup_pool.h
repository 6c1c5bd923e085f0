/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup_pool.h - the root's helper threads, which look up what other ranks ask for and what the
 * plan lists. So the service thread never waits for a file system.
 *
 * There are four queues. LOOKUP_PREFETCH (what the root's own program will ask for next,
 * fill/prefetch.h) comes first, then LOOKUP_REQUEST (what other ranks wait for), then the plan:
 * LOOKUP_LIBRARY and LOOKUP_PLAN. Libraries are looked up in order, by one thread at a time,
 * because what a library needs depends on those before it (dlopen/closure.h).
 *
 * Calling order: the service thread calls lookup_pool_start(), and at the end lookup_pool_stop();
 * between them any thread may call lookup_pool_put(). lookup_pool_stop() does not wait for the
 * threads, since one may be stuck in a hanging file system: they finish what they have begun and
 * the queued prefetches, and end. A request that cannot be queued is dropped; the rank that waits
 * for it makes the real call in the end.
 */
#ifndef FASTIMPORT_SERVICE_LOOKUP_POOL_H
#define FASTIMPORT_SERVICE_LOOKUP_POOL_H

#include "fill/fill.h"

enum lookup_queue { LOOKUP_PREFETCH, LOOKUP_REQUEST, LOOKUP_LIBRARY, LOOKUP_PLAN, LOOKUP_QUEUES };

/* fill: must live as long as the process. */
void lookup_pool_start(struct fill *fill, int threads);

/* Queues a copy of the query. False: not queued. With LOOKUP_PREFETCH the caller holds the key's
 * claim (segment_claim()), which passes to the helper if the query was queued. */
bool lookup_pool_put(enum lookup_queue queue, const struct fi_query *query);
/* Are all queues empty, and no helper at work? */
bool lookup_pool_idle(void);
void lookup_pool_stop(void);

#endif
