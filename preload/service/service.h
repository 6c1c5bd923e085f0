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

#include "config.h"
#include "fill/fill.h"
#include "policy.h"
#include "role.h"

struct service_result {
    struct node_cache *node;
    struct fill *fill;
    struct policy *policy;
};

struct service_input {
    const struct fi_config *config;
    struct role_facts role;
    int argc;
    char **argv;
};

/* True: the results are good until the process ends. False: a line said why, go on without. */
bool service_start(const struct service_input *input, struct service_result *result);

/* status: the exit status of this process. abrupt: it ends by _exit(2), in the middle of the
 * program (whose Python may hold a lock that its MPI callbacks want). Does nothing in a forked
 * child. */
void service_finish(int status, bool abrupt);

/* For an attached process: at its exit it gives up the cache. was_rank: it was a rank and has
 * called exec: the others are told that it will not close the session with them; at its end the
 * launcher must be told that MPI is closed. */
void service_attached(const struct node_cache *node, bool was_rank);

/* Is this the process (not a child of it) in which one of these was called, so that
 * service_finish() has something to do? */
bool service_is_here(void);

#endif
