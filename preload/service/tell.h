/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tell.h - what the user is told about a job as a whole: that nothing is served, and why.
 *
 * What goes wrong in all ranks is told by one of them; the others tell the same one level lower.
 * The rank that tells that nothing is served also writes the report (FASTIMPORT_REPORT), as nobody
 * else will. Nothing here needs MPI or the service.
 *
 * Thread rules: the constructor, the service thread and the exit; not two at a time.
 */
#ifndef FASTIMPORT_SERVICE_TELL_H
#define FASTIMPORT_SERVICE_TELL_H

#include "base/log.h"
#include "process/config.h"

/* Tells why nothing is served in this job or, if this rank alone is not served, in this rank.
 * speaks: this is the rank that tells the user, at `level`; the others are one level lower. Of
 * several calls in a process the first one gets into the report. */
void tell_idle(const struct fi_config *config, bool speaks, enum log_level level,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The sentence for a job whose files are all on local disks. */
extern const char tell_no_roots[];

/* A rank that a shell has started joins in its program's MPI_Init (mpi/launcher_shell.h):
 * tell_postponed() notes that. If MPI_Init was not called before the program ends,
 * tell_never_joined() says so: at level warn if some of the program's files could have been served.
 * Both do nothing in a forked child. */
void tell_postponed(const struct fi_config *config, const char *shell, bool could_be_served);
void tell_never_joined(bool has_joined);

#endif
