/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi.h - redirects the program's calls of MPI_Init and its like; see mpi/redirect.h. */
#ifndef FASTIMPORT_INTERCEPT_MPI_H
#define FASTIMPORT_INTERCEPT_MPI_H

/* From now on the program's calls of MPI_Init and its like go to mpi/init.h. Called in the
 * constructor of a rank, before it joins the service. */
void mpi_calls_begin(void);

#endif
