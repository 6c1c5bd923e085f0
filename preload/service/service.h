/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service.h - the one thread of a rank that speaks MPI.
 *
 * service_start() starts it and waits, at most FASTIMPORT_JOIN_MS, until the job is joined and the
 * node cache is there. In a node's leader the thread then serves: it takes the root's broadcasts
 * into the node cache and passes requests on; in the root it broadcasts what the root looks up. In
 * other ranks it sleeps until the exit. States:
 *
 *   JOINING -> SERVING -> LEAVING -> GONE
 *         \-> FAILED (no MPI, no cache, no ranks): the process goes on without fastimport
 *
 * service_finish() is called once, by the rank's own process, at its exit: it ends the service in
 * order (all ranks must come) so that the launcher sees MPI finalised.
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
    bool speaks_mpi; /* as no other process of this slot may, from now on */
    bool differs; /* not all that the node cache has is right for this rank, nor for its children */
};

struct service_input {
    const struct fi_config *config;
    struct role_facts role;
    int argc;
    char **argv;
    const char *directory; /* the working directory of its start; NULL: still is */
};

/* True: the results are good until the process ends. False: a line said why, go on without;
 * descendants are to be told of what there is. */
bool service_start(const struct service_input *input, struct service_result *result);

/* status: the exit status of this process. abrupt: it ends by _exit(2), in the middle of the
 * program (whose Python may hold a lock that its MPI callbacks want). Does nothing in a forked
 * child. */
void service_finish(int status, bool abrupt);

/* For an attached process that was a rank and has called exec: its node is told that it will not
 * close the session; at its end it gives up the cache (NULL: it has none), and the launcher must be
 * told that MPI is closed. */
void service_abandoned(const struct node_cache *node);

/* The program is about to be replaced by exec, with this environment: others are told, a tenth of a
 * second at most, that this rank will not close the session with them. successor_is_ours: its
 * service_abandoned() does the rest; else the cache is given up here, and the launcher will be told
 * of the new program's end (mpi/pmi_slot.h). Should exec fail, the program goes on, and its MPI works;
 * the others may find at their exit that they do not wait for it. Takes no lock of ld.so's. Does
 * nothing in a forked child. */
void service_before_exec(bool exec_target_is_ours, char *const environment[]);

/* The program is about to have the number of a descriptor by which MPI, initialised for us, speaks:
 * MPI is not called any more here. As if this rank had called exec, the others are told, and do not
 * wait for it. */
void service_lose_mpi(void);

/* This process is about to become another user, who could not remove the cache at its exit: it
 * gives up its hold now, and the last one to do so removes all. */
void service_leave_cache(void);

/* Is this the process (not a child of it) in which one of these was called, so that
 * service_finish() has something to do? */
bool service_is_here(void);

#endif
