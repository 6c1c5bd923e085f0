/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * late_join.h - a rank that a shell has started joins the job in its program's MPI_Init, and not at
 * its start.
 *
 * A slot of the launcher can initialise MPI only once, and a shell may start several programs in
 * it. Which of them is to have MPI is known when one calls MPI_Init, and not before. So fastimport
 * must not initialise MPI earlier, unless FASTIMPORT_BELOW_SHELL=start says that it may.
 *
 * Thread rules: the constructor.
 */
#ifndef FASTIMPORT_SERVICE_LATE_JOIN_H
#define FASTIMPORT_SERVICE_LATE_JOIN_H

#include "service/service.h"

/* Must this rank join in its program's MPI_Init? */
bool late_join_is_needed(const struct fi_config *config);

/* Lets the program's MPI_Init call join() with a copy of the input, since the program may change
 * its arguments and its working directory until then. join() returns whether the rank is served.
 * The user is told that some files are not served when the program calls MPI_Init, or when it ends
 * without (tell.h); of a rank and its children, one tells it. */
void late_join_prepare(const struct service_input *input,
                       bool (*join)(const struct service_input *input));

#endif
