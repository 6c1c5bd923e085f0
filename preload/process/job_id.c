/* SPDX-License-Identifier: BSD-3-Clause */
/* job_id.c - see job_id.h */
#include "process/job_id.h"

#include <stdio.h>
#include <stdlib.h>

/* Slurm, PBS and PALS, Flux, LSF, Grid Engine, Cobalt; and what tells apart the launches of a job. */
static const struct {
    const char *job;
    const char *step;
} variables[] = {
    {"SLURM_JOB_ID", "SLURM_STEP_ID"},
    {"PBS_JOBID", "PALS_APID"},
    {"FLUX_JOB_ID", NULL},
    {"LSB_JOBID", NULL},
    {"JOB_ID", NULL},
    {"COBALT_JOBID", NULL},
};

void job_id_read(char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *job = getenv(variables[i].job);
        const char *step = variables[i].step == NULL ? NULL : getenv(variables[i].step);

        if (job != NULL && job[0] != '\0') {
            snprintf(out, size, "%s%s%s", job, step == NULL ? "" : ".", step == NULL ? "" : step);
            return;
        }
    }
}
