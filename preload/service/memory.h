/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - when a node gives memory back (cache/give_back.h).
 *
 * After the start: when nothing new has come into the node cache for FASTIMPORT_IDLE_MS, the root
 * begins, a few files at a time. It looks again from time to time, because children end. A node on
 * which less than an eighth of a memory limit is free does not wait for that.
 *
 * Calling order: memory_begin(), then memory_work() in each round of a serving loop. Thread rules:
 * the service thread.
 */
#ifndef FASTIMPORT_SERVICE_MEMORY_H
#define FASTIMPORT_SERVICE_MEMORY_H

#include "cache/give_back.h"
#include "service/internal.h"

struct memory {
    struct service *service;
    struct give_back walk;
    bool walking;
    uint64_t tail;       /* end of the index when it was last seen to grow ... */
    int64_t grown;       /* ... and when that was */
    int64_t next_walk;   /* not before this time */
    int64_t next_limits; /* when to read the limits again */
};

void memory_begin(struct memory *memory, struct service *service);
/* may_give_back: this is the root, and nothing is being looked up or sent. */
void memory_work(struct memory *memory, bool may_give_back);

#endif
