/* SPDX-License-Identifier: BSD-3-Clause */
/* job_private.h - what job.c and shutdown.c share, and no other file includes. */
#ifndef FASTIMPORT_MPI_JOB_PRIVATE_H
#define FASTIMPORT_MPI_JOB_PRIVATE_H

#include "mpi/bind.h"
#include "mpi/job.h"

struct job_private {
    MPI_Session session;
    MPI_Group group;
    MPI_Comm world;
    MPI_Comm leaders;
    int *node; /* ranks of this node, its leader first */
    /* job_poll_lost(): */
    char lost;             /* receive buffer */
    MPI_Request lost_recv; /* valid while lost_recv_posted */
    bool lost_recv_posted;
    bool lost_sent; /* this rank has told others */
};

/* In a job of one rank MPI must not be asked to communicate: in a session of one process MPICH
 * 4.0.2 has not set up what makes progress, and crashes in MPI_Test and in every wait. */
static inline bool job_is_alone(const struct job *job)
{
    return job->size == 1;
}

/* For a wait that has lasted so long: sleeps for a part of that, and counts for
 * job_wait_rounds(). */
void job_nap(int64_t waited_ns);

#endif
