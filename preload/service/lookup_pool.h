/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup_pool.h - the root's helpers: threads that look up what other ranks ask for, and what the plan
 * says.
 *
 * Four queues: what the root's own program will ask next (fill/ahead.h) and requests come first,
 * since somebody waits for them, then the plan; the plan's libraries are done in order, by one
 * thread at a time (fill/library.h).
 *
 * So the service thread never waits for a file system. work_start() and work_stop() are the service
 * thread's; work_put() may be called by any thread between them. work_stop() does not wait for the
 * threads (one may be stuck in a hanging file system); they finish what is queued. A request that
 * cannot be queued is dropped: the rank that waits for it makes the real call in the end.
 */
#ifndef FASTIMPORT_SERVICE_LOOKUP_POOL_H
#define FASTIMPORT_SERVICE_LOOKUP_POOL_H

#include "fill/fill.h"

void lookup_pool_start(struct fill *fill, int threads);
enum lookup_queue { LOOKUP_PREFETCH, LOOKUP_REQUEST, LOOKUP_LIBRARY, LOOKUP_PLAN, LOOKUP_QUEUES };
/* WORK_AHEAD: the caller holds the key's claim, which goes over to the helper. False: not queued.
 */
bool lookup_pool_put(enum lookup_queue queue, const struct fi_query *query);
bool lookup_pool_idle(void);
void lookup_pool_stop(void);

#endif
