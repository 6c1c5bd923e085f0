/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job_id.h - the batch system's name of this job, by its environment variables: for the report.
 *
 * Thread rules: any thread; the environment must not change meanwhile.
 */
#ifndef FASTIMPORT_PROCESS_JOB_ID_H
#define FASTIMPORT_PROCESS_JOB_ID_H

#include <stddef.h>

/* Writes the id, such as "4711.0" for a job and its step; "" where no batch system says one. */
void job_id_read(char *out, size_t size);

#endif
