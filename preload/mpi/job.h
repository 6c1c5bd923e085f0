/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job.h - the MPI job as the service sees it: a session, its communicators, and the few operations
 * that the service needs.
 *
 * Calling order: job_open(), job_share_*() and job_sum_node(), the operations between leaders,
 * job_shutdown_barrier(), job_close(). Of these job_open(), job_share_all(), job_shutdown_barrier()
 * and job_close() are collective over all ranks, job_share_node() and job_sum_node() over the ranks
 * of a node.
 *
 * Thread rules: only the service thread calls these, for a collective must never run in a thread of
 * the program; job_wait_rounds() may be called by any thread. Errors are MPI error codes (0:
 * success). After an error the job is broken: nothing but job_poll_lost() and job_cancel() may be
 * called any more.
 */
#ifndef FASTIMPORT_MPI_JOB_H
#define FASTIMPORT_MPI_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job {
    int rank, size;           /* in the job */
    int root;                 /* the rank that does the file-system work */
    int node_rank, node_size; /* within the node */
    int n_nodes;
    int leader; /* this rank's number among the leaders, 0 for the root; -1: it is no leader */
    struct job_private *p; /* owned */
};

struct job_request; /* a non-blocking operation */

/* Opens the session and the communicators. candidate: may this rank be the root? (The lowest
 * candidate is.) */
int job_open(struct job *job, bool candidate);

/* Send bytes from a node's leader to the node's other ranks, and from the root to all ranks. They
 * wait, with naps. For the start only. */
int job_share_node(struct job *job, void *bytes, size_t size);
/* Tells the node's leader the sum of `mine` over the node's ranks. In other ranks *sum is
 * `mine`. */
int job_sum_node(struct job *job, int mine, int *sum);
int job_share_all(struct job *job, void *bytes, size_t size);

/* Non-blocking operations between leaders, told apart by a tag. Buffers stay valid until job_done()
 * has set *done (or until job_close()). leader: the other side's number among leaders; for a
 * receive also JOB_ANYONE. A handover is a synchronous send (MPI_Issend): it is done only when the
 * other side has begun to receive. */
enum { JOB_ANYONE = -1 };
int job_post_send(struct job *job, const void *bytes, size_t size, int leader, int tag,
                  struct job_request *request);
int job_post_receive(struct job *job, void *bytes, size_t size, int leader, int tag,
                     struct job_request *request);
int job_post_handover(struct job *job, const void *bytes, size_t size, int leader, int tag,
                      struct job_request *request);
/* Is the operation finished? size: NULL, or gets the number of bytes that a receive has got. */
int job_done(struct job_request *request, bool *done, size_t *size);
/* Withdraws an operation that is not finished (MPI_Cancel), and does not wait for that. */
void job_cancel(struct job_request *request);

/* Grows while a call above waits: so another thread can tell waiting from being stuck in MPI. */
uint64_t job_wait_rounds(void);

/* At the end of the job. A rank is lost if it was killed or has called exec: it never comes to
 * job_shutdown_barrier(). This looks whether another rank has told that one is lost, and sets
 * *lost. Once *lost is set, by this or by another thread, it tells some ranks, who tell others: all
 * ranks that poll learn it, whichever rank is the lost one. */
int job_poll_lost(struct job *job, _Atomic bool *lost);

/* This rank is about to call exec, and so will be lost: sets *lost, tells others as job_poll_lost()
 * does, and waits a moment for MPI to send it. */
int job_announce_exec(struct job *job, _Atomic bool *lost);

struct job_shutdown {
    bool mine;          /* this rank's flag */
    bool any;           /* result: is the flag true in any rank? */
    int64_t limit_ns;   /* after so long, sets *lost; 0: never */
    _Atomic bool *lost; /* see job_poll_lost() */
};

/* Waits, with naps, until every rank has called this. If one is lost this does not return before
 * the process ends. */
int job_shutdown_barrier(struct job *job, struct job_shutdown *shutdown);
/* After job_shutdown_barrier(): closes everything. Needs all ranks. May call back into the program,
 * for the attributes of its communicators. What *job points to is not freed: a process has one job,
 * and a signal handler may still look at it. */
int job_close(struct job *job);

struct job_request {
    int64_t handle; /* an MPI_Request, whatever its type */
};

#endif
