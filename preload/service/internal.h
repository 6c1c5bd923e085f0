/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - the service's state, and what its files call of each other. No other folder includes
 * this.
 *
 * The service thread owns struct service. A field that the program's threads use as well is atomic,
 * or changes with the lock held.
 */
#ifndef FASTIMPORT_SERVICE_INTERNAL_H
#define FASTIMPORT_SERVICE_INTERNAL_H

#include <pthread.h>

#include "broadcast/wire.h"
#include "mpi/job.h"
#include "plan/plan.h"
#include "service/service.h"

enum service_phase {
    PHASE_JOINING,
    PHASE_SERVING,   /* joined; stays so until the session is closed */
    PHASE_FAILED,    /* not joined: the thread has ended */
    PHASE_GONE,      /* the thread has ended after the session */
    PHASE_STOPPED,   /* the thread must not call MPI any more, and sleeps */
    PHASE_AFTER_EXEC /* no thread: this process was a rank before it called exec */
};

/* LEAVING_BY__EXIT: the process ends in the middle of the program, whose MPI must not be called
 * back. */
enum leaving_state { NOT_LEAVING, LEAVING, LEAVING_BY__EXIT };

/* A program's thread that calls exec sets ANNOUNCING; the service thread tells the other ranks and
 * sets ANNOUNCED. */
enum exec_announcement { NOT_ANNOUNCED, ANNOUNCING, ANNOUNCED };

struct service {
    struct service_input input;
    pid_t pid;
    struct job job;
    struct node_cache node;
    struct policy policy;
    struct device_map devices; /* of a leader */
    struct fill fill;
    struct wire_hello hello;
    struct plan plan; /* of the root only */
    bool has_cache;
    bool differs; /* a served directory is a different mount here than on the root rank */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic enum service_phase phase; /* written with the lock held, by which others wait for it */
    _Atomic int leaving;  /* enum leaving_state: at the exit, or in MPI_Finalize (mpi/init.h) */
    _Atomic int finished; /* service_finish() was called */
    _Atomic int exec_announcement; /* enum exec_announcement */
    _Atomic bool serving;          /* root_serve() or leader_serve() runs */
    _Atomic bool lost;             /* some rank will never come to close the session */

    /* Naps of the serving loops: */
    int64_t nap_ns;
    /* a large transfer is under way: naps stay short, because MPI makes progress only in calls */
    bool in_flight;
    int64_t last_work;       /* when a round had something to do */
    int64_t lost_since;      /* when the loop first saw `lost`; 0: not yet */
    _Atomic uint64_t rounds; /* of the loops: grows as long as the thread is not stuck */

    struct {
        bool begun; /* leader_send_exit_stats() was called */
        bool sent;  /* MPI has accepted the send */
        char *text; /* owned; stays valid until the send is finished */
        struct job_request request;
    } exit_stats; /* of a leader, which sends them once */

    bool broken; /* an MPI call has failed: nothing is served any more */
    /* MPI still has messages of ours, of which it would complain when it is closed */
    bool has_pending_messages;
    bool root_lost; /* of a leader: the root was silent for too long */
    /* some rank ended by _exit(2) or has pending messages: all leave the session open */
    _Atomic bool session_stays_open;
    _Atomic bool closed;       /* all ranks have closed the session */
    _Atomic bool has_lost_mpi; /* service_lose_mpi() was called: MPI must not be called any more */
    /* finished before an exec: nothing is to be told or released at the exit (read again only if
     * exec has failed) */
    bool handed_over;
};

/* How long something that must answer at the exit may be silent before it is taken for dead. */
int64_t service_wait_budget_ns(const struct service *service);

extern struct service the_service;

/* For the program's threads: waits until the phase is no longer `from`. False: ms milliseconds were
 * over first. ms 0: without limit. */
bool service_wait_past(struct service *service, enum service_phase from, uint64_t ms);

/* The program's MPI_Finalize calls this (init_at_finalize()): ends the service, so that no session
 * of fastimport is open when MPI is finalised. */
void service_end_before_finalize(void);

/* The serving loops of the service thread. They return when END was sent or received, or when
 * nothing more can be served. */
void root_serve(struct service *service);
void leader_serve(struct service *service);

/* After the loops, at the exit: leaders send their exit statistics; the root takes them and writes
 * the plan and the report. */
void root_collect(struct service *service);
void leader_send_exit_stats(struct service *service);
/* After the shutdown barrier: the root has received the exit statistics, or never will. Frees
 * them. */
void leader_end_exit_stats(struct service *service);

/* After job_open(): has the launcher started more tasks than MPI has ranks? If so, tells the user,
 * once a job step. */
bool service_step_is_split(const struct service *service);

/* Are all ranks of this node at their exit, or have they called exec? */
bool service_node_leaves(const struct service *service);

/* The service thread calls this between calls of MPI. After service_lose_mpi() it does not
 * return. */
void service_may_stop(struct service *service);

/* For the loops that wait for other ranks at the exit: is a rank lost, and have the others had time
 * to send what they have? */
bool service_lost_timeout(struct service *service);

/* For the program's threads, before exec: lets the service thread tell the other ranks, and waits
 * for it a moment. */
void service_announce_exec(struct service *service);

/* Between two rounds of a loop: returns at once if this one has worked, else naps; naps grow. */
void service_rest(struct service *service, bool worked);

/* True if error is 0. Else marks the service broken, tells the user once that `what` (a noun) has
 * failed, and lets the node look for itself. error: MPI's (> 0), or -1. */
bool service_check(struct service *service, int error, const char *what);

/* Messages (state_lines.c). The first, at level info and once a job: what is served. The second:
 * `what` has failed, nothing more is served. */
void tell_active(struct service *service);
void tell_foreign(const void *function); /* the program initialises an MPI by this function */
void tell_broken(const struct service *service, int error, const char *what);

#endif
