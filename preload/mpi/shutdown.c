/* SPDX-License-Identifier: BSD-3-Clause */
/* meet.c - the end of a job: all ranks meet, or hear that one is lost; see job.h */
#include "base/sys.h"
#include "mpi/job_private.h"

enum { TAG_LOST = 9, DEPART_NS = 10000000 };

/* Not waited for: the message is small, and the receiver may be the one that is lost. */
static int shutdown_tell(const struct job *job, int rank)
{
    static const char word = 1;
    MPI_Request request = MPI_REQUEST_NULL;
    int e = mpi.Isend(&word, 1, MPI_BYTE, rank, TAG_LOST, job->p->world, &request);

    return e == MPI_SUCCESS ? mpi.Request_free(&request) : e;
}

/* Each rank tells those 1, 2, 4, ... before and behind it: a few lost ones cut nobody off. */
static int tell_others(struct job *job)
{
    int e = MPI_SUCCESS;

    for (int64_t d = 1; d < job->size && e == MPI_SUCCESS; d *= 2) {
        e = shutdown_tell(job, (int)((job->rank + d) % job->size));
        if (e == MPI_SUCCESS) {
            e = shutdown_tell(job, (int)((job->rank + job->size - d) % job->size));
        }
    }
    return e;
}

static int shutdown_listen(struct job_private *p)
{
    p->listens = true;
    return mpi.Irecv(&p->lost, 1, MPI_BYTE, MPI_ANY_SOURCE, TAG_LOST, p->world, &p->hearing);
}

static int hear(struct job_private *p, _Atomic bool *lost)
{
    MPI_Status status;
    int flag = 0;
    int e = p->listens ? MPI_SUCCESS : shutdown_listen(p);

    if (e == MPI_SUCCESS) {
        e = mpi.Test(&p->hearing, &flag, &status);
    }
    if (flag) {
        p->listens = false;
        atomic_store(lost, true);
    }
    return e;
}

int job_poll_lost(struct job *job, _Atomic bool *lost)
{
    int e = job_is_alone(job) ? MPI_SUCCESS : hear(job->p, lost);

    if (e == MPI_SUCCESS && atomic_load(lost) && !job->p->told) {
        job->p->told = true;
        e = tell_others(job);
    }
    return e;
}

/* MPI sends when it is called; what has left this process at once it does not tell. */
int job_announce_exec(struct job *job, _Atomic bool *lost)
{
    int64_t end = sys_now_ns() + DEPART_NS;
    int e;

    atomic_store(lost, true);
    e = job_poll_lost(job, lost);
    while (e == MPI_SUCCESS && !job_is_alone(job) && sys_now_ns() < end) {
        e = hear(job->p, lost);
        sys_nap_ns(DEPART_NS / 20);
    }
    return e;
}

/* Everybody has come, although somebody was given up, perhaps (an exec has failed): what was said
 * of that is taken, for MPI would complain of it when it is closed. */
static void stop_listening(struct job_private *p)
{
    _Atomic bool heard = true;

    while (atomic_load(&heard)) {
        atomic_store(&heard, false);
        if (hear(p, &heard) != MPI_SUCCESS) {
            return;
        }
    }
    mpi.Cancel(&p->hearing);
    mpi.Request_free(&p->hearing);
    p->listens = false;
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

/* Does not spin: ranks may be here long before the last one. */
int job_shutdown_barrier(struct job *job, struct job_shutdown *m)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int said = m->mine;
    int most = said;
    int e = MPI_SUCCESS;

    if (!job_is_alone(job)) {
        e = mpi.Iallreduce(&said, &most, 1, MPI_INT, MPI_MAX, job->p->world, &request);
        e = e == MPI_SUCCESS ? wait_for_all(job, m, request) : e;
        stop_listening(job->p);
    }
    m->any = most != 0;
    return e;
}
