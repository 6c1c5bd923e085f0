/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi.h - see mpi.c */
#ifndef FASTIMPORT_INTERCEPT_MPI_H
#define FASTIMPORT_INTERCEPT_MPI_H

/* From now on the program's calls of MPI_Init and its like are ours (mpi/init.h). In the
 * constructor of a rank, before it joins. */
void mpi_calls_begin(void);

#endif
