/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.h - the program's signal dispositions, kept over what an MPI library does when it is
 * opened.
 *
 * MPICH takes SIGUSR1, UCX the signals of a crash. A program that does not use MPI itself must find
 * them as it would without fastimport; one that does gets them when it initialises MPI.
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
/* Puts back what has changed since. */
void signals_restore(const struct signals *signals);

#endif
