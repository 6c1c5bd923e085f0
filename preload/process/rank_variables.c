/* SPDX-License-Identifier: BSD-3-Clause */
/* rank_variables.c - see rank_variables.h */
#include "process/rank_variables.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Set by hydra, Slurm's PMI-2, PMIx, Open MPI, Intel, MVAPICH, Cray's PALS and ALPS, IBM's jsrun,
 * Flux. The first one that is set belongs to the innermost launcher: hydra's and Flux's daemons may
 * run in a step of Slurm.
 * sizes: the variables in which the same launcher says the number of ranks. */
static const struct launcher {
    const char *rank;
    const char *sizes[2];
} launchers[] = {
    {"PMI_RANK", {"PMI_SIZE"}},
    {"PMI_ID", {"PMI_SIZE"}},
    {"PMIX_RANK", {"OMPI_COMM_WORLD_SIZE"}},
    {"OMPI_COMM_WORLD_RANK", {"OMPI_COMM_WORLD_SIZE"}},
    {"MPIRUN_RANK", {"MPIRUN_NPROCS"}},
    {"PALS_RANKID", {"PALS_NRANKS", "PMI_SIZE"}},
    {"ALPS_APP_PE", {NULL}},
    {"JSM_NAMESPACE_RANK", {"JSM_NAMESPACE_SIZE"}},
    {"FLUX_TASK_RANK", {"FLUX_JOB_SIZE"}},
    {"SLURM_PROCID", {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}},
};

/* Slurm sets SLURM_PROCID=0 for a batch script, too, which belongs to no step: srun has not started
 * one yet. */
static bool rank_variables_is_in_force(const char *variable)
{
    return strcmp(variable, "SLURM_PROCID") != 0 || getenv("SLURM_STEP_ID") != NULL;
}

static int rank_variables_number(const char *variable)
{
    const char *text = variable == NULL ? NULL : getenv(variable);

    return text != NULL && text[0] >= '0' && text[0] <= '9' ? (int)strtol(text, NULL, 10) : -1;
}

static void rank_variables_read_size(const struct launcher *l, int *size)
{
    for (int i = 0; i < 2 && *size <= 0; i++) {
        int n = rank_variables_number(l->sizes[i]);

        *size = n >= 0 ? n : *size;
    }
}

int rank_variables_read(int *size)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const struct launcher *l = &launchers[i];
        int rank = rank_variables_is_in_force(l->rank) ? rank_variables_number(l->rank) : -1;

        if (rank >= 0) {
            if (size != NULL) {
                rank_variables_read_size(l, size);
            }
            return rank;
        }
    }
    return -1;
}
