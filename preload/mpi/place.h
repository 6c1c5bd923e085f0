/*
 * place.h - where is this rank: on which node, and below a shell?
 *
 * The node: a key that all its ranks share, without asking MPI.
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
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

bool node_id(uint64_t *key);

/* The launcher's daemon that this slot belongs to, and a key that no other daemon of this machine
 * has or will have. False: not known. */
bool place_daemon(pid_t *daemon, uint64_t *key);
/* How many ranks it started on this node, and which of them this is, from 0, by the launcher's
 * variables (hydra's MPI_LOCALNRANKS, Slurm's SLURM_STEP_TASKS_PER_NODE, ...); 0: not known. */
int place_ranks(pid_t daemon, int *rank);

/* Is there a shell between the launcher's daemon and this process (proc(5), /proc/PID/stat and
 * exe)? It may start other programs in this slot, before and after this one. Then its name is in
 * shell;
 * "?" where a process between has ended, or cannot be looked at, and may have been one. False where
 * the daemon is not known. */
bool launcher_shell_above(char *shell, size_t size);

#endif
