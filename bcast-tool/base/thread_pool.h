/* Worker threads that do the same work on a ring of slots, with the results in order of submission.
 *
 * One caller: claim -> fill -> submit, and collect -> use -> release, in any interleaving.
 * A slot belongs to the caller from claim to submit and from collect to release, otherwise to the
 * crew. With 0 threads the work is done inside thread_pool_submit.
 */
#ifndef BCAST_BASE_THREAD_POOL_H
#define BCAST_BASE_THREAD_POOL_H

#include <stddef.h>

struct thread_pool_work {
    void (*work)(void *slot, void *tool); /* called in a worker */
    void *(*tool_new)(void *context);     /* one tool a worker, made before any work */
    void (*tool_free)(void *tool);
    void *context;
    int threads;
};

struct thread_pool; /* opaque */

/* `slots` are `n` pointers owned by the caller; they outlive the pool. */
struct thread_pool *thread_pool_new(const struct thread_pool_work *work, void **slots, int n);

/* Waits for all submitted work, then ends the threads. NULL is allowed. */
void thread_pool_free(struct thread_pool *c);

void *thread_pool_claim(struct thread_pool *c); /* a free slot, or NULL when all are in use */
void thread_pool_submit(struct thread_pool *c); /* hands the claimed slot over */
void *thread_pool_collect(
    struct thread_pool *c); /* waits for the oldest submitted; NULL when there is none */
void thread_pool_release(struct thread_pool *c); /* the collected slot is free again */

#endif
