/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serving.h - what this process answers from: set by main.c, read by every wrapper.
 *
 * Calling order: serving_start() once, in the constructor or in the program's MPI_Init; then
 * serving_end() at most once. Thread rules: any thread may read; `resolver` does not change while
 * resolve_active is set, but for `fill` in a forked child, which has one thread.
 */
#ifndef FASTIMPORT_PROCESS_SERVING_H
#define FASTIMPORT_PROCESS_SERVING_H

#include <stdatomic.h>
#include <stdbool.h>

struct node_cache;
struct fill;
struct policy;

/* fill is NULL in attached processes and forked children: they fill nothing. */
struct resolver {
    struct node_cache *node;
    struct fill *fill;
    const struct policy *policy;
};

extern struct resolver resolver;
extern _Atomic bool resolve_active; /* wrappers answer */
extern _Atomic bool resolve_begun;  /* descriptors and libraries may be the mirror's */

void serving_start(struct node_cache *node, struct fill *fill, const struct policy *policy);
/* Nothing is answered any more: names name other files (base/fs_view.h). resolve_begun stays. */
void serving_end(void);
/* In the child of a fork: it reads the cache, and fills nothing. */
void serving_detach_fill(void);

#endif
