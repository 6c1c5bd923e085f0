/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job.h - the job as the service sees it: a session, the communicators, and the few operations that
 * it needs.
 *
 * The only callers are service threads (design rule: never a collective in a user's thread), one at
 * a time in each process. Collective calls here are made by all ranks in the same order: job_open,
 * job_share_*, job_close.
 * Errors are MPI error codes (0: success); after an error the job is broken and must only be
 * abandoned, though job_heed() may still tell the others.
 */
#ifndef FASTIMPORT_MPI_JOB_H
#define FASTIMPORT_MPI_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job {
    int rank, size;           /* in the job */
    int root;                 /* rank that does the file-system work */
    int node_rank, node_size; /* within the node */
    int n_nodes;
    int leader; /* rank among leaders, the root is 0; -1: this is none */
    struct job_private *p;
};

struct job_request; /* an operation in flight */

/* Opens the session and the communicators. candidate: may this rank be the root? (The lowest that
 * may is.) */
int job_open(struct job *job, bool candidate);

/* From the node's leader to its node; from the root to all. They wait, napping; used at start only.
 */
int job_share_node(struct job *job, void *bytes, size_t size);
/* To the leader: the sum of what its node's ranks say. Others get nothing. */
int job_sum_node(struct job *job, int mine, int *sum);
int job_share_all(struct job *job, void *bytes, size_t size);

/* Non-blocking operations between leaders, told apart by a tag. Buffers stay valid until job_done()
 * says yes (or job_close). A handover is a send that is finished only when the other side has begun
 * to receive. leader: the other one, by its rank among leaders; a receive may say JOB_ANYONE. */
enum { JOB_ANYONE = -1 };
int job_post_send(struct job *job, const void *bytes, size_t size, int leader, int tag,
                  struct job_request *request);
int job_post_receive(struct job *job, void *bytes, size_t size, int leader, int tag,
                     struct job_request *request);
int job_post_handover(struct job *job, const void *bytes, size_t size, int leader, int tag,
                      struct job_request *request);
/* Is it finished? With a receive, *size is what came. */
int job_done(struct job_request *request, bool *done, size_t *size);
void job_cancel(struct job_request *request);

/* Grows while something here waits: from another thread, tells waiting from being stuck in MPI. */
uint64_t job_signs_of_life(void);

/* At the end: a rank that is lost (killed, or it has called exec) will never come to job_meet().
 * Looks whether another rank says so, and sets *lost; once *lost is set, here or by another thread,
 * tells some others, who tell others: all ranks that look hear of it, whichever is the lost one. */
int job_poll_lost(struct job *job, _Atomic bool *lost);

/* This rank will be lost: it is about to call exec. Tells others, as job_heed() does, and waits a
 * moment for MPI to send it. */
int job_announce_exec(struct job *job, _Atomic bool *lost);

struct job_shutdown {
    bool mine;
    bool any;           /* is `mine` true in one of them? */
    int64_t limit_ns;   /* after so long, a rank is taken for lost; 0: never */
    _Atomic bool *lost; /* job_heed() */
};

/* Waits (napping) until every rank is here. When one is lost it does not return: the process ends
 * meanwhile. */
int job_shutdown_barrier(struct job *job, struct job_shutdown *shutdown);
/* Closes everything, after job_meet(). May call back into the program, for the attributes of its
 * communicators, and needs all ranks. */
int job_close(struct job *job);

struct job_request {
    int64_t handle; /* an MPI_Request, whatever its type */
};

#endif
