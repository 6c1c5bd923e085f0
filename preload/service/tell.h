/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tell.h - what the user hears of a job as a whole: that it is served, or that it is not, and why.
 *
 * Nothing that goes wrong everywhere is said by every rank: one speaks, the others say the same at
 * level info. Who says that nothing is served also writes the report (FASTIMPORT_REPORT), for
 * nobody else will. Nothing here needs MPI, or that the service was ever started.
 */
#ifndef FASTIMPORT_SERVICE_TELL_H
#define FASTIMPORT_SERVICE_TELL_H

#include "base/log.h"
#include "process/config.h"

/* Nothing is served in this job, or by this rank alone if it is alone: why. speaks: this is the
 * rank that tells the user. Of several calls in a process the first is in the report. */
void tell_idle(const struct fi_config *config, bool speaks, enum log_level level,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The reason where all is on local disks. */
extern const char tell_nothing_of_ours[];

/* Below a shell a rank joins in its program's MPI_Init, if that ever comes (main.c). Where it has
 * not come when the program ends, tell_never_joined() says so: at level warn if something of the
 * program could have been served. Both do nothing in another process (a forked child). */
void tell_expected(const struct fi_config *config, const char *shell, bool could_be_served);
void tell_never_joined(bool has_joined);

#endif
