/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.h - saves the program's signal dispositions while an MPI library is opened, and restores
 * them.
 *
 * MPICH sets a handler for SIGUSR1, UCX for the signals of a crash. A program that does not use MPI
 * itself must find the dispositions as without fastimport. One that uses MPI gets MPI's when it
 * initialises MPI.
 *
 * Thread rules: for the constructor, before the program runs.
 */
#ifndef FASTIMPORT_PROCESS_SIGNALS_H
#define FASTIMPORT_PROCESS_SIGNALS_H

#include <signal.h>

struct signals {
    struct sigaction actions[NSIG];
};

void signals_save(struct signals *signals);
/* Restores the dispositions that have changed since. */
void signals_restore(const struct signals *signals);

#endif
