/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * role.h - what is this process to fastimport? Decided once, from the environment and from what is
 * mapped.
 *
 * launcher  mpiexec, srun and the like: tells its ranks what is in LD_LIBRARY_PATH's directories
 * passive   nothing is done: shells, compilers, setuid programs, FASTIMPORT=0, no LD_PRELOAD
 * rank      an MPI rank that is a Python or an MPI program, and no descendant of one. A Python
 *           without anything to serve is idle: it does nothing, and its children are passive
 * attached  a descendant of a rank: uses the node cache that the environment names, and never MPI.
 *           Also a program that a rank has started by exec, which may have no cache
 *
 * A rank that MPI_Comm_spawn has started is passive. Its MPI_Init is collective with its parents',
 * and would not be any more if fastimport had opened a session before: MPI_Comm_get_parent would
 * return none, and the parents would wait.
 *
 * Thread rules: the constructor, and role_isolate() in the program's MPI_Init.
 */
#ifndef FASTIMPORT_PROCESS_ROLE_H
#define FASTIMPORT_PROCESS_ROLE_H

#include <stdbool.h>
#include <stdint.h>

/* The environment variable of a rank's descendants: "<rank's pid>:<nonce in hex>:<fs view in
 * hex>:<directory>"; where there is no node cache, "<rank's pid>". No descendant may use the slot's
 * MPI. Only those that see the same files as the rank (base/fs_view.h) use the cache. */
#define ROLE_NODE_VARIABLE "FASTIMPORT_NODE"

enum role { ROLE_PASSIVE, ROLE_LAUNCHER, ROLE_RANK, ROLE_ATTACHED };

struct role_facts {
    enum role role;
    int rank;        /* from the launcher's variables; -1: not known */
    int size;        /* the number of ranks, from the same launcher's; not positive: not known */
    bool is_python;  /* Py_Initialize is mapped */
    bool is_spawned; /* passive, but only because MPI_Comm_spawn has started it */
    bool is_alone;   /* passive, a Python that no launcher has started, nor a rank */

    /* The rest is for a descendant (attached, or a launcher), from ROLE_NODE_VARIABLE. */
    const char *node; /* directory of the node cache; NULL: there is none */
    uint64_t nonce;   /* of the node cache */
    uint64_t fs_view; /* the rank's; 0: nobody may use the cache */
    bool was_rank;    /* this process was the rank itself, and has called exec since */
};

/* Strings in the result point into the environment. */
struct role_facts role_decide(void);

/* Tells the future children of this process, by the environment, that they are descendants of a
 * rank. directory, nonce: of the node cache; NULL: there is none. fs_view: fs_view_identity(); 0:
 * nobody may use the cache. */
void role_announce(const char *directory, uint64_t nonce, uint64_t fs_view);

/* Makes the future children of this process passive, by the environment. */
void role_isolate(void);

#endif
