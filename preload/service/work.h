/*
 * work.h - the root's helpers: a queue of requests from other ranks, and threads that look them up.
 *
 * So the service thread never waits for a file system. Threads start with the first request and end after
 * work_stop(), which does not wait for them (one may be stuck in a hanging file system). A request that cannot be queued is dropped: the rank that waits for it makes the real call in the end.
 */
#ifndef FASTIMPORT_SERVICE_WORK_H
#define FASTIMPORT_SERVICE_WORK_H

#include "fill/fill.h"

void work_start(struct fill *fill, int threads);
void work_put(const struct fi_query *query);
bool work_idle(void);
void work_stop(void);

#endif
