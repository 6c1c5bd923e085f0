/* SPDX-License-Identifier: BSD-3-Clause */
/* finish.c - the end of a process that has joined the service, or attached to a cache; see
 * service.h. */
#include <stdio.h>
#include <time.h>

#include "base/held.h"
#include "base/log.h"
#include "base/sys.h"
#include "mpi/bind.h"
#include "mpi/init.h"
#include "mpi/pmi_slot.h"
#include "service/internal.h"

enum {
    PATIENT_FINISH_MS = 5000,
    SLICE_MS = 250,
    CANCEL_NS = 5000000,
    STOP_MS = 1000,
    DEPARTURE_MS = 200
};

/* For pthread_cond_timedwait(). */
static struct timespec after_ms(uint64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

bool service_wait_past(struct service *s, enum service_phase from, uint64_t ms)
{
    struct timespec until = after_ms(ms);
    int error = 0;

    pthread_mutex_lock(&s->lock);
    while (s->phase == from && error == 0) {
        error = ms == 0 ? pthread_cond_wait(&s->changed, &s->lock)
                        : pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return error == 0;
}

void service_announce_exec(struct service *s)
{
    struct timespec until = after_ms(DEPARTURE_MS);
    int error = 0;

    pthread_mutex_lock(&s->lock);
    if (atomic_load(&s->exec_announcement) == NOT_ANNOUNCED) {
        atomic_store(&s->exec_announcement, ANNOUNCING);
    }
    pthread_cond_broadcast(&s->changed);
    while (error == 0 && s->phase == PHASE_SERVING &&
           atomic_load(&s->exec_announcement) == ANNOUNCING) {
        error = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
}

/* A rank that fails before the program's MPI_Finalize dies at once, and its launcher ends the job,
 * as without us; one that fails after it has company, and gets a little time to close in order.
 * Where the program does not use MPI, the others would go on without it, and so they do. */
static uint64_t finish_limit_ms(int status)
{
    return status == 0 || !init_program_finalized() ? 0 : PATIENT_FINISH_MS;
}

/* The program has initialised MPI and not finalised it: closing PMI is its own job, and not doing
 * so counts as a crash. */
static bool program_uses_mpi(const struct service *s)
{
    if (s->phase == PHASE_ABANDONED) { /* its calls do not come through us */
        return mpi_in_use();
    }
    return (init_program_asked() || init_program_initialized()) && !init_program_finalized();
}

static uint64_t signs_of_life(const struct service *s)
{
    return atomic_load_explicit(&s->rounds, memory_order_relaxed) + job_signs_of_life();
}

/* Was the leader killed? (Launchers end the job then, unless they are told not to.) */
static bool leader_is_gone(const struct segment_header *h)
{
    pid_t leader = atomic_load(&h->leader);

    return leader > 0 && h->leader_namespace == sys_pid_namespace() && !sys_exists(leader);
}

/* A rank has given up, or is lost: then the session can be closed by nobody. What is seen here the
 * service thread tells the other nodes. While it serves, others may need it, and will tell it when
 * they do not. */
static bool is_hopeless(struct service *s)
{
    const struct segment_header *h = s->node.index.header;

    if (s->has_cache && !atomic_load(&s->serving) &&
        (atomic_load(&h->given_up) > 0 || leader_is_gone(h))) {
        atomic_store(&s->lost, true);
    }
    return atomic_load(&s->lost);
}

/* Waits for the service to close, ms at most (0: as long as it lives; the other ranks may take
 * hours to come). */
static void await_close(struct service *s, uint64_t ms)
{
    int64_t start = sys_now_ns();
    int64_t last_sign = start;
    uint64_t signs = signs_of_life(s);

    while (!service_wait_past(s, PHASE_SERVING, SLICE_MS)) {
        int64_t now = sys_now_ns();

        if (signs_of_life(s) != signs && !is_hopeless(s)) {
            signs = signs_of_life(s);
            last_sign = now;
        }
        if (now - last_sign > service_wait_budget_ns(s)) {
            fi_log(is_hopeless(s) ? LOG_INFO : LOG_WARN,
                   "the service thread has been stuck in MPI for %lld ms: not waiting for it",
                   (long long)(service_wait_budget_ns(s) / 1000000));
            return;
        }
        if (ms != 0 && now - start > (int64_t)ms * 1000000) {
            return;
        }
    }
}

/* The thread would take the launcher's answer to what we say, and complain of it: it waits in MPI
 * for ranks that never come. */
static void stop_thread(struct service *s)
{
    if ((s->phase == PHASE_JOINING || s->phase == PHASE_SERVING) && mpi_is_cancellable()) {
        pthread_cancel(s->thread);
        sys_nap_ns(CANCEL_NS);
    }
}

/* Has this process to say, and to give back, what its node expects of it? */
static bool belongs_to_node(const struct service *s)
{
    return s->has_cache && !s->has_left;
}

/* The launcher takes a process that leaves PMI open for a crashed one: what MPI cannot close any
 * more is closed without it, unless that is the program's own affair. */
static void close_slot(struct service *s)
{
    if (s->closed) {
        return;
    }
    if (belongs_to_node(s) && !s->nobody_closes) {
        atomic_fetch_add(&s->node.index.header->given_up, 1);
    }
    if (mpi_is_bound() && !program_uses_mpi(s)) {
        stop_thread(s);
        slot_finalize();
    }
}

/* A rank that calls exec needs the service no more, and will not close the session: its node must
 * not wait for it. If it was the leader, nobody serves the node any more. */
static void leave_unclosed(struct service *s)
{
    struct segment *index = &s->node.index;
    struct segment_header *h = index->header;

    if (!s->has_cache) {
        return;
    }
    atomic_fetch_add(&h->given_up, 1);
    atomic_fetch_add(&h->leaving, 1);
    if (atomic_load(&h->leader) == sys_getpid() && h->leader_namespace == sys_pid_namespace()) {
        atomic_store(&h->state, SERVICE_ENDED);
        segment_announce(index);
    }
    segment_ring(index);
}

void service_abandoned(const struct node_cache *node)
{
    struct service *s = &the_service;

    s->pid = sys_getpid();
    s->has_cache = node != NULL;
    if (s->has_cache) {
        s->node = *node;
    }
    s->phase = PHASE_ABANDONED;
    leave_unclosed(s);
}

/* MPI would write into the program's descriptor. */
void service_lose_mpi(void)
{
    struct service *s = &the_service;

    if (!service_is_here() || s->has_left || atomic_load(&s->has_lost_mpi)) {
        return;
    }
    if (s->phase == PHASE_SERVING) {
        fi_log(LOG_INFO, "the program takes the numbers of MPI's descriptors: this rank closes "
                         "MPI without the others");
        leave_unclosed(s);
        service_announce_exec(s);
    }
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->has_lost_mpi, true);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    service_wait_past(s, PHASE_SERVING, STOP_MS);
    stop_thread(s);
    held_drop_all(HELD_MPI);
}

void service_leave_cache(void)
{
    struct service *s = &the_service;

    if (service_is_here() && belongs_to_node(s)) {
        node_leave(&s->node);
    }
}

/* The launcher would take the new program for a crashed one, and end the job without a word, since
 * we have opened PMI and nobody in the new program closes it. So PMI is finalised now, unless the
 * program itself uses MPI. (The new program cannot start MPI in this slot then.) */
static void finalize_slot(const struct service *s)
{
    if ((s->phase == PHASE_ABANDONED || mpi_is_bound()) && !program_uses_mpi(s)) {
        slot_finalize();
    }
}

/* To a program that knows nothing of us. */
static void finish_hand_over(struct service *s)
{
    if (s->phase != PHASE_ABANDONED) {
        leave_unclosed(s);
    }
    finalize_slot(s);
    if (s->has_cache) {
        node_leave(&s->node);
    }
    s->has_left = true;
}

void service_before_exec(bool exec_target_is_ours, char *const environment[])
{
    struct service *s = &the_service;

    if (!service_is_here() || s->closed || s->has_left) {
        return;
    }
    if (s->phase == PHASE_SERVING) {
        service_announce_exec(s);
    }
    if (!exec_target_is_ours) {
        finish_hand_over(s);
    } else if (!slot_is_named_in(environment)) {
        finalize_slot(s);
    }
}

/* True for the first call only. */
static bool begin_leaving(struct service *s, bool abrupt)
{
    int before = NOT_LEAVING;

    return atomic_compare_exchange_strong(
        &s->leaving, &before, abrupt && init_program_initialized() ? LEAVING_BY__EXIT : LEAVING);
}

/* Tells the service that this rank leaves, and waits until it has closed. */
static void end_service(struct service *s, int status, bool abrupt)
{
    if (belongs_to_node(s)) {
        atomic_fetch_add(&s->node.index.header->leaving, 1);
        segment_ring(&s->node.index);
    }
    if (s->phase == PHASE_SERVING) {
        if (status != 0 && program_uses_mpi(s)) {
            return;
        }
        if (!abrupt) {
            fflush(NULL);
        }
        pthread_mutex_lock(&s->lock);
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        await_close(s, finish_limit_ms(status));
    }
    close_slot(s);
}

void service_end_before_finalize(void)
{
    struct service *s = &the_service;

    if (service_is_here() && begin_leaving(s, false)) {
        end_service(s, 0, false);
    }
}

void service_finish(int status, bool abrupt)
{
    struct service *s = &the_service;

    if (!service_is_here() || atomic_exchange(&s->finished, 1) != 0) {
        return;
    }
    if (s->phase == PHASE_ABANDONED) {
        slot_abandon();
    } else if (atomic_load(&s->has_lost_mpi)) {
        slot_finalize();
    } else if (begin_leaving(s, abrupt)) {
        end_service(s, status, abrupt);
    }
    if (belongs_to_node(s)) {
        node_leave(&s->node);
    }
}
