/*
 * place.h - which node is this rank on? A key that all ranks of a node share, without asking MPI.
 *
 * MPI_Comm_split_type(MPI_COMM_TYPE_SHARED) tells, but takes several collectives of all ranks,
 * which cost more than the rest of the start together where cores are shared (measured: 0.6 of 1.3
 * s with 16 ranks on 2 cores). The launcher's daemon is one a node, and is at the other end of the
 * PMI descriptor: its process id (SO_PEERCRED, unix(7)) and the machine's boot id are the key.
 * Where there is no such descriptor, Slurm's SLURM_NODEID serves. Otherwise there is no key, and
 * MPI is asked.
 */
#ifndef FASTIMPORT_MPI_PLACE_H
#define FASTIMPORT_MPI_PLACE_H

#include <stdbool.h>
#include <stdint.h>

bool place_key(uint64_t *key);

#endif
