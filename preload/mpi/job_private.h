/* SPDX-License-Identifier: BSD-3-Clause */
/* job_private.h - shared by job.c and meet.c only. */
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
    char lost; /* what job_heed() receives */
    MPI_Request hearing;
    bool listens, told;
};

/* Then there is nobody to wait for, and MPI is not asked to communicate: in a session of one
 * process MPICH 4.0.2 has not set up what makes progress, and crashes in MPI_Test and in every
 * wait. */
static inline bool job_is_alone(const struct job *job)
{
    return job->size == 1;
}

/* In a wait that has lasted so long: sleeps for a part of that, and counts as a sign of life. */
void job_nap(int64_t waited_ns);

#endif
