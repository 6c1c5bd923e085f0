/* SPDX-License-Identifier: BSD-3-Clause */
/* internal.h - shared by the files of the service only: its state, owned by the service thread. */
#ifndef FASTIMPORT_SERVICE_INTERNAL_H
#define FASTIMPORT_SERVICE_INTERNAL_H

#include <pthread.h>

#include "broadcast/wire.h"
#include "mpi/job.h"
#include "plan/plan.h"
#include "service/service.h"

enum service_phase {
    PHASE_JOINING,
    PHASE_SERVING,
    PHASE_FAILED,
    PHASE_LEAVING,
    PHASE_GONE,
    PHASE_STOPPED,
    PHASE_ABANDONED
};

/* Abruptly: the program's MPI must not be called back any more. */
enum leaving { NOT_LEAVING, LEAVING, LEAVING_BY__EXIT };

/* By exec: the service thread tells the others. */
enum exec_announcement { NOT_ANNOUNCED, ANNOUNCING, ANNOUNCED };

struct service {
    struct service_input input;
    pid_t pid;
    struct job job;
    struct node_cache node;
    struct policy policy;
    struct fill fill;
    struct wire_hello hello;
    struct plan plan; /* root only */
    bool has_cache;
    bool differs; /* some of what the root serves is another directory here */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic enum service_phase phase; /* changes with the lock held, for those that wait */
    _Atomic int leaving;           /* enum leaving: at the exit, or in MPI_Finalize (mpi/init.h) */
    _Atomic int finished;          /* this rank is at its exit */
    _Atomic int exec_announcement; /* enum departure */
    _Atomic bool serving;          /* in one of the loops, which end by themselves */
    _Atomic bool lost;             /* a rank will never come to close the session */

    /* how the serving loops rest */
    int64_t nap_ns;
    bool in_flight; /* a large transfer is under way: naps stay short, as MPI works only when it is
                       asked */
    int64_t last_work;
    int64_t lost_since;
    _Atomic uint64_t rounds; /* of the loops: signs of life for a thread that waits for this one */

    struct {
        bool said; /* the root is told that this node leaves */
        bool sent; /* and MPI has the text */
        char *text;
        struct job_request request;
    } exit_stats; /* leader */

    bool broken;     /* an MPI call failed: nothing is served any more */
    bool unfinished; /* MPI still has messages of ours: it would complain of them if closed */
    bool root_lost;  /* leader: the root was silent for too long */
    _Atomic bool nobody_closes; /* a rank is abrupt, or unfinished: all leave MPI open */
    _Atomic bool closed;        /* the session was closed in order */
    _Atomic bool has_lost_mpi;  /* MPI must not be called any more */
    bool has_left; /* before an exec (that has failed, if somebody reads this): nothing is to be
                      said or given back at the exit */
};

/* Silence after which something that must answer at the exit is taken for dead. */
int64_t service_wait_budget_ns(const struct service *service);

extern struct service the_service;

/* For the program's threads: waits until the phase is no longer `from`; false when the time is over
 * first. ms 0: for ever. */
bool service_wait_past(struct service *service, enum service_phase from, uint64_t ms);

/* In the program's MPI_Finalize, where the service has no session of its own: finish.c. */
void service_end_before_finalize(void);

/* The loops. They return after END. */
void root_serve(struct service *service);
void leader_serve(struct service *service);

/* After the loop, at the exit: the leaders' counters reach the root, which writes the report. */
void root_collect(struct service *service);
void leader_send_exit_stats(struct service *service);
/* When the root has met the leaders: it has the farewell, or will never take it. */
void leader_end_exit_stats(struct service *service);

/* After job_open(): the launcher has started more tasks than MPI has ranks; says so, once a step.
 */
bool service_step_is_split(const struct service *service);

/* All ranks of this node are at their exit, or have called exec. */
bool service_node_leaves(const struct service *service);

/* In the service thread, between calls of MPI. Does not return where MPI must not be called any
 * more. */
void service_may_stop(struct service *service);

/* In the loops at the exit, which wait for other ranks: one is lost, and there was time for what
 * the others have to say. */
bool service_waits_in_vain(struct service *service);

/* For the program's threads, before exec: the service thread tells the other ranks. */
void service_announce_exec(struct service *service);

/* Between rounds of a loop: at once again after work, else naps that grow. */
void service_rest(struct service *service, bool worked);

/* Notes a failed MPI call. */
bool service_check(struct service *service, int error, const char *what);

/* At level info, once a job: it is served. */
void tell_active(struct service *service);
/* `what` has failed. */
void tell_broken(const struct service *service, int error, const char *what);

#endif
