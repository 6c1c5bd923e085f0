/* Worker threads that do the same work on a ring of slots, with the results in order of submission.
 *
 * One caller: claim -> fill -> submit, and collect -> use -> release, in any interleaving.
 * A slot belongs to the caller from claim to submit and from collect to release, otherwise to the
 * crew. With 0 threads the work is done inside crew_submit.
 */
#ifndef BCAST_BASE_CREW_H
#define BCAST_BASE_CREW_H

#include <stddef.h>

struct crew_job {
    void (*work)(void *slot, void *tool); /* called in a worker */
    void *(*tool_new)(void *context);     /* one tool a worker, made before any work */
    void (*tool_free)(void *tool);
    void *context;
    int threads;
};

struct crew; /* opaque */

/* `slots` are `n` pointers owned by the caller; they outlive the crew. */
struct crew *crew_new(const struct crew_job *job, void **slots, int n);

/* Waits for all submitted work, then ends the threads. NULL is allowed. */
void crew_free(struct crew *c);

void *crew_claim(struct crew *c);   /* a free slot, or NULL when all are in use */
void crew_submit(struct crew *c);   /* hands the claimed slot over */
void *crew_collect(struct crew *c); /* waits for the oldest submitted; NULL when there is none */
void crew_release(struct crew *c);  /* the collected slot is free again */

#endif
