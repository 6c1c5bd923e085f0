/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * presence.h - do all ranks of this node have fastimport? Known before MPI is touched.
 *
 * Where LD_PRELOAD reaches only some ranks (mpiexec -n 2 python a : -n 2 env LD_PRELOAD=... python
 * a), those that have the library would open MPI in a way that the others do not, and the program's
 * MPI would hang or fail. So the ranks of a node count each other first, in a file that they share:
 * "fastimport-UID-KEY.ranks" in the directory of node caches. Its name is that of the launcher's
 * daemon (mpi/node_id.h), it belongs to the user alone, it is empty and stays so: a rank that is here
 * holds a lock on the byte of its number, so nothing can be full, and a rank that is killed counts
 * no more. All hold their locks until everybody has seen them. Whoever ends the count removes the
 * file: a rank that sees all, or one that gives up. A job that is killed in between leaves it to
 * the next start (cache/node.h). Where all ranks have the library this costs a few system calls a
 * rank.
 *
 * A rank is missing for certain when the daemon has a child that is a Python or has an MPI library,
 * and not ours: ld.so maps what is preloaded first; and when the daemon has fewer children than it
 * started ranks. Other children (a shell, say) may still start the program, or a Python under the
 * preload; they have the whole limit.
 *
 * Not seen: ranks of other nodes, launchers whose daemon or number of ranks is not known, ranks
 * that see another directory of node caches. There the wait for the job (service.h) is the bound.
 */
#ifndef FASTIMPORT_MPI_PRESENCE_H
#define FASTIMPORT_MPI_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

/* Once in each rank, before its first MPI call. True: all are here, or it cannot be known. False:
 * some are missing, and MPI must be left to the program; all ranks of the node that wait get this
 * answer, and one of them says why. */
bool presence_await(const char *directory, uint64_t limit_ms);

/* All ranks have the answer: they have met by MPI. (Where they have not, a descriptor stays.) */
void presence_done(void);

/* The same as presence_await() without the launcher's variables. */
struct presence {
    const char *directory;
    uint64_t key; /* what the ranks have in common */
    int daemon;   /* whose children they are */
    int ranks;
    int rank; /* of this process: 0 <= rank < ranks */
    uint64_t limit_ms;
};

bool presence_count(const struct presence *presence);

#endif
