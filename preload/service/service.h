/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service.h - the service thread: the only thread of a rank that calls MPI for fastimport.
 *
 * service_start() starts it and waits, at most FASTIMPORT_JOIN_MS, until the job is joined and the
 * node cache is there. In a node's leader the thread then serves: it stores the root's broadcasts
 * in the node cache and sends the ranks' requests to the root. In the root it broadcasts what the
 * root looks up. In other ranks it sleeps until the exit. Its states:
 *
 *   JOINING -> SERVING -> GONE
 *         \-> FAILED (no MPI, no cache, no ranks): the process goes on without fastimport
 *
 * The rank's own process calls service_finish() once, at its exit. That ends the service in order
 * (all ranks must come), so that the launcher sees MPI finalised.
 *
 * Thread rules: service_start() and service_after_exec() in the constructor or in the program's
 * MPI_Init, at most one of them, once; the others in any thread of the program. All but these two
 * do nothing in a forked child, and before these two.
 */
#ifndef FASTIMPORT_SERVICE_SERVICE_H
#define FASTIMPORT_SERVICE_SERVICE_H

#include "fill/fill.h"
#include "policy/policy.h"
#include "process/config.h"
#include "process/role.h"

struct service_result {
    struct node_cache *node; /* NULL: there is none */
    struct fill *fill;
    struct policy *policy;
    bool speaks_mpi; /* MPI was opened: no other process of this slot may open it any more */
    /* a served directory is a different mount here: the node cache is no use to this rank and its
     * children */
    bool differs;
};

struct service_input {
    const struct fi_config *config;
    struct role_facts role;
    int argc;
    char **argv; /* must live as long as the process */
    /* the working directory at the program's start; NULL: it is still the same */
    const char *directory;
};

/* Joins the job and fills in *result, which points into the service and is good until the process
 * ends. True: this rank is served. False: it is not, and a message has said why; the result still
 * says what descendants must know. */
bool service_start(const struct service_input *input, struct service_result *result);

/* Ends the service at the exit of the process. status: its exit status. by__exit: it ends by
 * _exit(2), in the middle of the program (whose Python may hold a lock that its MPI callbacks
 * want). */
void service_finish(int status, bool by__exit);

/* For an attached process that was a rank and has called exec, at its start: tells its node that it
 * will not close the session. At its exit, service_finish() releases the cache and tells the
 * launcher that PMI is finalised. node: its cache; NULL: it has none. */
void service_after_exec(const struct node_cache *node);

/* The program is about to be replaced by exec, with this environment. Tells the other ranks, for
 * which it waits a fifth of a second at most, that this one will not close the session with them.
 * exec_target_is_ours: fastimport will be in the new program, whose service_after_exec() does the
 * rest; else this call releases the cache and finalises PMI (mpi/pmi_slot.h). If exec fails, the
 * program goes on and its MPI works, but the other ranks may not wait for it at their exit. Takes
 * no lock of ld.so's. */
void service_before_exec(bool exec_target_is_ours, char *const environment[]);

/* The program is about to take the number of a descriptor that MPI, initialised for fastimport,
 * uses: MPI would write into the program's file. Stops all use of MPI here and, as before exec,
 * tells the other ranks, which do not wait for this one. */
void service_lose_mpi(void);

/* This process is about to become another user, who could not remove the cache at its exit:
 * releases it now. Whoever releases it last removes all of it. */
void service_leave_cache(void);

/* Is this the process (not a forked child of it) that called service_start() or
 * service_after_exec(), so that service_finish() has something to do? */
bool service_is_here(void);

#endif
