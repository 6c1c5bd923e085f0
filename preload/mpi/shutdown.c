/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shutdown.c - the end of a job: all ranks wait for each other, or learn that one is lost; see
 * job.h.
 */
#include "base/sys.h"
#include "mpi/job_private.h"

enum {
    TAG_LOST = 9,
    ANNOUNCE_NS = 10000000 /* how long MPI gets to send the announcement of an exec */
};

/* Does not wait for the send: the message is small, and the receiver may be the rank that is
 * lost. */
static int send_lost(const struct job *job, int rank)
{
    static const char word = 1;
    MPI_Request request = MPI_REQUEST_NULL;
    int e = mpi.Isend(&word, 1, MPI_BYTE, rank, TAG_LOST, job->p->world, &request);

    return e == MPI_SUCCESS ? mpi.Request_free(&request) : e;
}

/* Each rank tells those 1, 2, 4, ... ranks after and before it. Since these tell others in turn,
 * all ranks learn it even if a few of them are lost. */
static int send_lost_to_some(struct job *job)
{
    int e = MPI_SUCCESS;

    for (int64_t d = 1; d < job->size && e == MPI_SUCCESS; d *= 2) {
        e = send_lost(job, (int)((job->rank + d) % job->size));
        if (e == MPI_SUCCESS) {
            e = send_lost(job, (int)((job->rank + job->size - d) % job->size));
        }
    }
    return e;
}

static int post_lost_recv(struct job_private *p)
{
    p->lost_recv_posted = true;
    return mpi.Irecv(&p->lost, 1, MPI_BYTE, MPI_ANY_SOURCE, TAG_LOST, p->world, &p->lost_recv);
}

static int test_lost_recv(struct job_private *p, _Atomic bool *lost)
{
    MPI_Status status;
    int flag = 0;
    int e = p->lost_recv_posted ? MPI_SUCCESS : post_lost_recv(p);

    if (e == MPI_SUCCESS) {
        e = mpi.Test(&p->lost_recv, &flag, &status);
    }
    if (flag) {
        p->lost_recv_posted = false;
        atomic_store(lost, true);
    }
    return e;
}

int job_poll_lost(struct job *job, _Atomic bool *lost)
{
    int e = job_is_alone(job) ? MPI_SUCCESS : test_lost_recv(job->p, lost);

    if (e == MPI_SUCCESS && atomic_load(lost) && !job->p->lost_sent) {
        job->p->lost_sent = true;
        e = send_lost_to_some(job);
    }
    return e;
}

/* MPI makes progress only when it is called, and does not tell whether a message has left this
 * process: so it is called for a moment. */
int job_announce_exec(struct job *job, _Atomic bool *lost)
{
    int64_t end = sys_now_ns() + ANNOUNCE_NS;
    int e;

    atomic_store(lost, true);
    e = job_poll_lost(job, lost);
    while (e == MPI_SUCCESS && !job_is_alone(job) && sys_now_ns() < end) {
        e = test_lost_recv(job->p, lost);
        sys_nap_ns(ANNOUNCE_NS / 20);
    }
    return e;
}

/* All ranks have come, although one may have been called lost before (its exec has failed).
 * Receives what was sent about that, because MPI would complain of unreceived messages when it is
 * closed. */
static void end_lost_recv(struct job_private *p)
{
    _Atomic bool received = true;

    while (atomic_load(&received)) {
        atomic_store(&received, false);
        if (test_lost_recv(p, &received) != MPI_SUCCESS) {
            return;
        }
    }
    mpi.Cancel(&p->lost_recv);
    mpi.Request_free(&p->lost_recv);
    p->lost_recv_posted = false;
}

static int wait_for_all(struct job *job, struct job_shutdown *m, MPI_Request request)
{
    int64_t start = sys_now_ns();
    MPI_Status status;
    int done = 0;
    int e = MPI_SUCCESS;

    while (e == MPI_SUCCESS && !done) {
        int64_t waited = sys_now_ns() - start;

        if (m->limit_ns != 0 && waited > m->limit_ns) {
            atomic_store(m->lost, true);
        }
        e = job_poll_lost(job, m->lost);
        if (e == MPI_SUCCESS) {
            e = mpi.Test(&request, &done, &status);
        }
        if (!done) {
            job_nap(waited);
        }
    }
    return e;
}

/* Non-blocking and with naps, because some ranks may be here long before the last one. */
int job_shutdown_barrier(struct job *job, struct job_shutdown *m)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int flag = m->mine;
    int any = flag;
    int e = MPI_SUCCESS;

    if (!job_is_alone(job)) {
        e = mpi.Iallreduce(&flag, &any, 1, MPI_INT, MPI_MAX, job->p->world, &request);
        e = e == MPI_SUCCESS ? wait_for_all(job, m, request) : e;
        end_lost_recv(job->p);
    }
    m->any = any != 0;
    return e;
}
