/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmi_slot.h - a rank's slot at the launcher: the PMI descriptor (PMI_FD), as MPICH's hydra and Slurm's
 * PMI-2 give it.
 *
 * A slot serves one MPI process at a time and, with this descriptor, only once. And a launcher
 * takes a process that opened PMI and ends without finalising it for a crashed one, and ends the
 * job. Elsewhere (PMI_PORT, PMIx) these do nothing.
 */
#ifndef FASTIMPORT_MPI_SLOT_H
#define FASTIMPORT_MPI_SLOT_H

#include <stdbool.h>

/* Takes the slot for this process, until it ends. False: another process of the slot has it, or had
 * it. */
bool slot_claim(void);

/* For a process that will end with PMI open and no MPI that could close it (the join is stuck, or
 * an MPI call has failed): says PMI-1's "finalize". */
void slot_finalize(void);

/* Has PMI been closed by somebody else in this process: another MPI library of the program's that
 * used the same slot, or the program itself, which closes what it did not open? Then MPI cannot
 * close our session any more. */
bool slot_is_lost(void);

/* The same as slot_finalize() after exec; nothing is done if the new program has an MPI library
 * that it initialised.
 */
void slot_abandon(void);

/* Would slot_abandon() find the slot in this environment? (Or there is none.) */
bool slot_is_named_in(char *const environment[]);

/* At the program's start, where there is no slot_claim(): learns what the others need to know. */
void slot_prepare(void);

#endif
