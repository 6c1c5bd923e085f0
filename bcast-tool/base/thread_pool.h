/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread_pool.h - threads that do the same work on a ring of slots. The caller gets the results in
 * the order in which it submitted them.
 *
 * There is one caller. It calls claim, fills the slot, calls submit; and collect, uses the result,
 * calls release; in any order of the two sequences. A slot belongs to the caller from claim to
 * submit and from collect to release, and otherwise to the pool. A pool of 0 threads does the work
 * inside thread_pool_submit().
 */
#ifndef BCAST_BASE_THREAD_POOL_H
#define BCAST_BASE_THREAD_POOL_H

#include <stddef.h>

struct thread_pool_work {
    void (*work)(void *slot, void *tool); /* runs in a thread of the pool */
    void *(*tool_new)(void *context);     /* each thread makes one tool before it works */
    void (*tool_free)(void *tool);
    void *context;
    int threads;
};

struct thread_pool; /* opaque */

/* `slots` are `n` pointers that belong to the caller and outlive the pool. */
struct thread_pool *thread_pool_new(const struct thread_pool_work *work, void **slots, int n);

/* Waits until all submitted work is done, then ends the threads. NULL is allowed. */
void thread_pool_free(struct thread_pool *pool);

/* A free slot; NULL when all are in use. */
void *thread_pool_claim(struct thread_pool *pool);

/* Gives the claimed slot to the threads. */
void thread_pool_submit(struct thread_pool *pool);

/* Waits for the result that was submitted first; NULL when there is none. */
void *thread_pool_collect(struct thread_pool *pool);

/* Makes the collected slot free again. */
void thread_pool_release(struct thread_pool *pool);

#endif
