/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rank_variables.h - this process's rank by the environment variables of its launcher, before MPI
 * runs.
 *
 * python-mpi-bcast uses it, too.
 */
#ifndef FASTIMPORT_PROCESS_RANK_VARIABLES_H
#define FASTIMPORT_PROCESS_RANK_VARIABLES_H

/* The rank, or -1 if no launcher says one. *size (NULL is allowed) becomes the number of ranks that
 * the same launcher says; it keeps its value if that launcher says none. */
int rank_variables_read(int *size);

#endif
