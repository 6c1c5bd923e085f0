/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmi_slot.h - a rank's slot at the launcher: the PMI descriptor (PMI_FD) that MPICH's hydra and
 * Slurm's PMI-2 give each rank.
 *
 * A slot serves one MPI process at a time and, through this descriptor, only one in all. A launcher
 * takes a process that has opened PMI and ends without finalising it for a crashed one, and ends
 * the job. Where ranks get no PMI_FD (PMI_PORT, PMIx) these functions do nothing, and slot_claim()
 * succeeds.
 *
 * Calling order: slot_claim() or slot_prepare() first, in the constructor or in the program's
 * MPI_Init. Thread rules: any thread, one at a time.
 */
#ifndef FASTIMPORT_MPI_PMI_SLOT_H
#define FASTIMPORT_MPI_PMI_SLOT_H

#include <stdbool.h>

/* Takes the slot for this process until it ends. False: another process of the slot has it, or has
 * had it. */
bool slot_claim(void);

/* For a process that will end with PMI open and no MPI to close it (the join is stuck, or an MPI
 * call has failed): sends PMI-1's "finalize" to the launcher. */
void slot_finalize(void);

/* Has something else in this process closed PMI: a second MPI library that used the same slot, or
 * the program, which closes descriptors that it did not open? Then MPI cannot close fastimport's
 * session any more. */
bool slot_is_lost(void);

/* slot_finalize() for the program that a rank has started by exec. Does nothing if that program has
 * initialised an MPI library, whose job it is then. */
void slot_finalize_after_exec(void);

/* After exec with this environment, would slot_prepare() find the slot? True also where there is
 * none. */
bool slot_is_named_in(char *const environment[]);

/* For a process that does not call slot_claim(): reads PMI_FD for the other functions. */
void slot_prepare(void);

#endif
