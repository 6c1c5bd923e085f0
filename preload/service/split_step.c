/* SPDX-License-Identifier: BSD-3-Clause */
/* split_step.c - a launcher whose tasks do not form one MPI job; see internal.h. */
#include "service/internal.h"
#include "service/tell.h"

/* With srun --mpi=none, say, each task is an MPI job of its own. A cache for each would hold the
 * same files once a task in the node's memory, so nothing is served: the program runs as without
 * fastimport. */
bool service_step_is_split(const struct service *s)
{
    int tasks = s->input.role.size;

    if (s->job.size >= tasks) {
        return false;
    }
    tell_idle(
        s->input.config, s->input.role.rank <= 0, LOG_WARN,
        "the launcher has started %d tasks, but MPI finds %d: they cannot share anything, and go "
        "on without fastimport (the launcher offers no PMI that this MPI knows; Slurm: srun "
        "--mpi=pmi2 or --mpi=pmix)",
        tasks, s->job.size);
    return true;
}
