/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serving.h - from what this process answers: set in the constructor, read by every wrapper.
 *
 * Calling order: serving_start() once, in the constructor or in the program's MPI_Init; then
 * serving_end() at most once. Thread rules: any thread may read. `resolver` does not change while
 * resolve_active is set, except for `fill` in a forked child, which has one thread then. What
 * serving_start() gets must live as long as the process.
 */
#ifndef FASTIMPORT_PROCESS_SERVING_H
#define FASTIMPORT_PROCESS_SERVING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct node_cache;
struct fill;
struct policy;

/* fill: that of a guest in attached processes and forked children (fill/fill.h). */
struct resolver {
    struct node_cache *node;
    struct fill *fill;
    const struct policy *policy;
    bool is_guest; /* a descendant of a rank */
};

extern struct resolver resolver;
extern _Atomic bool resolve_active; /* wrappers answer from the cache */
/* there may be descriptors of mirror files, and libraries loaded from it */
extern _Atomic bool resolve_begun;

void serving_start(struct node_cache *node, struct fill *fill, const struct policy *policy,
                   bool is_guest);
/* Stops answering, because names are those of other files now (base/fs_view.h). resolve_begun stays
 * set. */
void serving_end(void);
/* For the child of a fork: from now on this process is a guest. */
void serving_become_guest(struct fill *guest);

#endif
