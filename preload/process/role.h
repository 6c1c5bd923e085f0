/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * role.h - what is this process to fastimport? Decided once, from the environment and from what the
 * process is.
 *
 * launcher  mpiexec, srun and the like: tells its ranks what LD_LIBRARY_PATH's directories hold
 * passive   not ours: shells, compilers, setuid programs, FASTIMPORT=0
 * rank      an MPI rank that is a Python or an MPI program, and no child of one; a Python of which
 *           nothing is to be served is idle: it does nothing, and its children are passive
 * attached  a descendant of a rank: uses the node cache that the environment names, never MPI
 *           (or the rank's own successor by exec, also without a cache)
 *
 * A rank that MPI_Comm_spawn started is passive: its MPI_Init is collective with its parents',
 * which a session opened before would not be (MPI_Comm_get_parent then gives none, and the parents
 * wait).
 */
#ifndef FASTIMPORT_PROCESS_ROLE_H
#define FASTIMPORT_PROCESS_ROLE_H

#include <stdbool.h>
#include <stdint.h>

/* Set for descendants: "<rank's pid>:<nonce in hex>:<view in hex>:<directory>"; where there is no
 * node cache, "<rank's pid>". The slot's MPI is taken for all of them; the cache is only for those
 * that see what the rank saw (base/view.h). */
#define ROLE_NODE_VARIABLE "FASTIMPORT_NODE"

enum role { ROLE_PASSIVE, ROLE_LAUNCHER, ROLE_RANK, ROLE_ATTACHED };

struct role_facts {
    enum role role;
    int rank;         /* by the launcher's variables; -1: unknown */
    int size;         /* how many ranks there are, by the same launcher; not positive: unknown */
    bool is_python;   /* has Py_Initialize */
    bool is_spawned;  /* passive only because MPI_Comm_spawn started it */
    const char *node; /* a descendant's (attached, or a launcher): directory of the node cache;
                         NULL: there is none */
    uint64_t nonce;   /* the same */
    uint64_t view;    /* the same: of the rank; 0: the cache is for nobody */
    bool was_rank;    /* the same: this process was the rank itself, and has called exec since */
};

struct role_facts role_decide(void);

/* From now on, the children of this process are passive. */
void role_isolate(void);

#endif
