/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node_id.h - on which node is this rank? Without asking MPI: a number that all ranks of the node
 * share, and no others; and which ranks the launcher has started on this node.
 *
 * MPI_Comm_split_type(MPI_COMM_TYPE_SHARED) would tell, but takes several collectives of all ranks,
 * which cost more than the rest of the start together where ranks share cores (measured: 0.6 of 1.3
 * s with 16 ranks on 2 cores). A launcher has one daemon on each node, at the other end of the PMI
 * descriptor: its process id (SO_PEERCRED, unix(7)) and the machine's boot id make the number.
 * Without such a descriptor Slurm's SLURM_NODEID serves. Otherwise the node is not known, and MPI
 * is asked (job.c).
 *
 * Thread rules: any thread; the environment must not change meanwhile.
 */
#ifndef FASTIMPORT_MPI_NODE_ID_H
#define FASTIMPORT_MPI_NODE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* This node's number. False: not known. */
bool node_id(uint64_t *id);

/* The address of the PMIx server that has started this process, from the environment; NULL: none
 * has. */
const char *launcher_pmix_server(void);

/* The process id of the launcher's daemon: the process at the other end of the PMI descriptor; with
 * PMIx the nearest process above this one that has no PMIX_RANK in its environment. 0: not known, or
 * in another PID namespace. */
pid_t launcher_daemon(void);

/* The same, with a key that no other daemon of this machine has or will ever have. False: not
 * known. */
bool launcher_daemon_id(pid_t *daemon, uint64_t *key);
/* When the launcher's daemon was started, in seconds of time(2); 0: not known. */
int64_t launcher_started(void);

/* How many ranks the daemon has started on this node, by the launcher's variables (hydra's
 * MPI_LOCALNRANKS, Slurm's SLURM_STEP_TASKS_PER_NODE, ...). *rank: which of them this one is, from
 * 0. 0: not known. */
int launcher_local_ranks(pid_t daemon, int *rank);

/* A process's parent, and its name, from /proc/PID/stat. 0: not known. */
pid_t process_parent(pid_t pid, char *name, size_t size);

#endif
