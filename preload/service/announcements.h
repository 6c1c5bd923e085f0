/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * announcements.h - the root's part of invalidate/announce.h: a node has changed something in a
 * directory, and all nodes are to know it.
 *
 * The root puts a RECORD_LIVE into the stream for each directory, once. When all nodes have it
 * (broadcast/announced.h) the root publishes a RECORD_EVERYWHERE, for which the rank that made the
 * change waits.
 *
 * Calling order, all in the root's service thread: announcements_open; announcements_take for each
 * request of kind RECORD_LIVE; announcements_work in every round; announcements_close.
 * MPI's errors go to service_check (internal.h).
 */
#ifndef FASTIMPORT_SERVICE_ANNOUNCEMENTS_H
#define FASTIMPORT_SERVICE_ANNOUNCEMENTS_H

#include "broadcast/announced.h"
#include "cache/query.h"

struct service;

struct announcements {
    struct service *service;
    struct announced announced;
    const struct record **live; /* of the directories, in the order of the stream; owned list */
    uint32_t n_live;
    uint32_t n_everywhere; /* all nodes have the first so many of them */
};

void announcements_open(struct announcements *announcements, struct service *service);

/* Directories outside the roots are ignored: nothing there is answered from the cache. */
void announcements_take(struct announcements *announcements, const struct fi_query *query);

/* True: something has happened. */
bool announcements_work(struct announcements *announcements);

/* Also frees. Not after an MPI error: MPI may still write into what it was given. */
void announcements_close(struct announcements *announcements);

#endif
