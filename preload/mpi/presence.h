/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * presence.h - do all ranks of this node have fastimport? To be known before MPI is used.
 *
 * Where LD_PRELOAD reaches only some ranks (mpiexec -n 2 python a : -n 2 env LD_PRELOAD=... python
 * a), those that have the library would open MPI in a way that the others do not, and the program's
 * MPI would hang or fail. So the ranks of a node first count each other, in a file that they share:
 * "fastimport-UID-KEY.ranks" in the directory of node caches. KEY stands for the launcher's daemon
 * (node_id.h). The file belongs to the user alone and stays empty: each rank holds a lock on the
 * byte of its number. So the file system cannot be too full for it, and a rank that is killed does
 * not count any more. All ranks keep their locks until everybody has seen them. The rank that ends
 * the count removes the file: one that sees that all are here, or one that gives up. If the job is
 * killed before that, the next start removes it (cache/node.h). Where all ranks have the library
 * this costs a few system calls a rank.
 *
 * A rank is missing for certain in two cases: the daemon has a child that is a Python or has an MPI
 * library, but has not fastimport, which ld.so would have mapped first; or the daemon has fewer
 * children than it has started ranks. Other children (a shell, say) may still start the program, or
 * a Python with the preload, so they get the whole time limit.
 *
 * Not noticed: missing ranks on other nodes; launchers whose daemon or number of ranks is not
 * known; ranks that have another directory of node caches. There the time limit of service_start()
 * ends the wait.
 *
 * Thread rules: one thread.
 */
#ifndef FASTIMPORT_MPI_PRESENCE_H
#define FASTIMPORT_MPI_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

/* Called once in each rank, before its first MPI call. True: all ranks of the node are here, or it
 * cannot be known. False: some are missing, and MPI must be left to the program; all ranks of the
 * node that wait get this answer, and one of them tells the user why. directory: FASTIMPORT_DIR. */
bool presence_await(const char *directory, uint64_t limit_ms);

/* Called when MPI has joined the ranks, so that all of them have the answer: closes the file. */
void presence_done(void);

/* presence_await() with explicit values instead of the launcher's variables. */
struct presence {
    const char *directory;
    uint64_t key; /* the same in all ranks of the node, and in no others */
    int daemon;   /* its children are the ranks */
    int ranks;
    int rank; /* of this process: 0 <= rank < ranks */
    uint64_t limit_ms;
};

bool presence_count(const struct presence *presence);

#endif
