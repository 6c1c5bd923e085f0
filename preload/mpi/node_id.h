/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node_id.h - on which node is this rank? A number that all ranks of the node share, and no others,
 * found without asking MPI; and which other ranks the launcher has started here.
 *
 * MPI_Comm_split_type(MPI_COMM_TYPE_SHARED) tells, but takes several collectives of all ranks,
 * which cost more than the rest of the start together where cores are shared (measured: 0.6 of 1.3
 * s with 16 ranks on 2 cores). The launcher's daemon is one a node, and is at the other end of the
 * PMI descriptor: its process id (SO_PEERCRED, unix(7)) and the machine's boot id make the number.
 * Where there is no such descriptor, Slurm's SLURM_NODEID serves. Otherwise the node is not known,
 * and MPI is asked.
 */
#ifndef FASTIMPORT_MPI_NODE_ID_H
#define FASTIMPORT_MPI_NODE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* False: not known. */
bool node_id(uint64_t *id);

/* The launcher's daemon: the process at the other end of the PMI descriptor. 0: not known, or in
 * another PID namespace. */
pid_t launcher_daemon(void);

/* The launcher's daemon that this slot belongs to, and a key that no other daemon of this machine
 * has or will have. False: not known. */
bool launcher_daemon_id(pid_t *daemon, uint64_t *key);
/* How many ranks it started on this node, and which of them this is, from 0, by the launcher's
 * variables (hydra's MPI_LOCALNRANKS, Slurm's SLURM_STEP_TASKS_PER_NODE, ...); 0: not known. */
int launcher_local_ranks(pid_t daemon, int *rank);

/* Of a process, by /proc/PID/stat: its parent, and its name. 0: not known. */
pid_t process_parent(pid_t pid, char *name, size_t size);

#endif
