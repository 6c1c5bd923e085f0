/*
 * pmi.h - the last word to the launcher, on PMI's socket (PMI_FD), for where no MPI can say it.
 *
 * PMI-1's wire protocol, which hydra's and Slurm's servers speak: lines "cmd=NAME ...". Nothing of
 * fastimport's or MPI's state is needed.
 */
#ifndef FASTIMPORT_MPI_PMI_H
#define FASTIMPORT_MPI_PMI_H

#include <stdbool.h>

/* Has the launcher closed its end? It does when PMI is finalised. */
bool pmi_is_closed(int fd);

/* Says "finalize", and waits a moment for the answer; nothing if it is closed. */
void pmi_finalize(int fd);

#endif
