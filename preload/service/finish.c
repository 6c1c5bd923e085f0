/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * finish.c - what a process that has joined the service, or attached to a cache, does at its end;
 * see service.h.
 */
#include <stdio.h>
#include <time.h>

#include "base/dilation.h"
#include "base/log.h"
#include "base/protected_fd.h"
#include "base/sys.h"
#include "mpi/bind.h"
#include "mpi/init.h"
#include "mpi/pmi_slot.h"
#include "service/internal.h"

enum {
    FAILED_FINISH_MS = 5000, /* a rank that has failed waits so long for the session to close */
    SLICE_MS = 250,          /* between two looks at a service thread that does not answer */
    CANCEL_NS = 5000000,     /* what pthread_cancel(3) gets to take effect */
    STOP_MS = 1000,          /* what the service thread gets to leave MPI */
    ANNOUNCE_EXEC_MS = 200   /* what exec waits for its announcement */
};

/* The absolute time, ms from now, that pthread_cond_timedwait(3) takes. */
static struct timespec after_ms(uint64_t ms)
{
    struct timespec until;

    ms = (uint64_t)dilation_real((int64_t)ms);
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
    dilation_after_wait();
    return error == 0;
}

void service_announce_exec(struct service *s)
{
    struct timespec until = after_ms(ANNOUNCE_EXEC_MS);
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

/* How long a rank waits for the session to close; 0: without limit. A rank that fails (status not
 * 0) after the program's MPI_Finalize gets a little time to close in order, since the others are at
 * their end, too. One that fails before it does not come here where the program uses MPI: its
 * process ends at once, and the launcher ends the job, as without fastimport. Where the program
 * does not use MPI the others go on and close later, so this rank waits. */
static uint64_t finish_limit_ms(int status)
{
    return status == 0 || !init_program_finalized() ? 0 : FAILED_FINISH_MS;
}

/* The program has initialised MPI and not finalised it: closing PMI is its own job, and not doing
 * so counts as a crash. */
static bool program_uses_mpi(const struct service *s)
{
    if (s->phase == PHASE_AFTER_EXEC) { /* init.h does not see its calls: ask the library */
        return mpi_in_use();
    }
    return (init_program_asked() || init_program_initialized()) && !init_program_finalized();
}

static uint64_t progress_count(const struct service *s)
{
    return atomic_load_explicit(&s->rounds, memory_order_relaxed) + job_wait_rounds();
}

/* Was the node's leader killed? Most launchers end the job then, but they can be told not to. */
static bool leader_is_gone(const struct segment_header *h)
{
    pid_t leader = atomic_load(&h->leader);

    return leader > 0 && h->leader_namespace == sys_pid_namespace() && !sys_exists(leader);
}

/* A rank of this node has given up or was killed, so the session can never be closed by all ranks.
 * Setting `lost` makes the service thread tell the other nodes. It is not set while the service
 * thread serves: other ranks may still need that, and the thread learns by itself when they do
 * not. */
static bool cannot_close(struct service *s)
{
    const struct segment_header *h = s->node.index.header;

    if (s->has_cache && !atomic_load(&s->serving) &&
        (atomic_load(&h->given_up) > 0 || leader_is_gone(h))) {
        atomic_store(&s->lost, true);
    }
    return atomic_load(&s->lost);
}

/* Waits for the service thread to close the session, ms at most. 0: as long as the thread makes
 * progress, since other ranks may come to their end hours later. */
static void await_close(struct service *s, uint64_t ms)
{
    int64_t start = sys_now_ns();
    int64_t last_progress = start;
    uint64_t count = progress_count(s);

    while (!service_wait_past(s, PHASE_SERVING, SLICE_MS)) {
        int64_t now = sys_now_ns();

        if (progress_count(s) != count && !cannot_close(s)) {
            count = progress_count(s);
            last_progress = now;
        }
        if (now - last_progress > service_wait_budget_ns(s)) {
            fi_log(
                cannot_close(s) ? LOG_INFO : LOG_WARN,
                "the service thread has been stuck in MPI for %lld ms: this rank ends without it",
                (long long)(service_wait_budget_ns(s) / 1000000));
            return;
        }
        if (ms != 0 && now - start > (int64_t)ms * 1000000) {
            return;
        }
    }
}

/* The service thread waits in MPI for ranks that never come. It would read the launcher's reply to
 * what we say next, and MPI would report an error. */
static void cancel_thread(struct service *s)
{
    if ((s->phase == PHASE_JOINING || s->phase == PHASE_SERVING) && mpi_is_cancellable()) {
        pthread_cancel(s->thread);
        sys_nap_ns(CANCEL_NS);
    }
}

/* Does this process still count as a rank of its node, and hold the cache open? */
static bool belongs_to_node(const struct service *s)
{
    return s->has_cache && !s->handed_over;
}

/* For a launcher, a process that ends with PMI open has crashed. Where the session cannot be closed
 * by MPI any more, PMI is finalised without MPI, unless the program uses MPI itself and so has to
 * do it. */
static void close_slot(struct service *s)
{
    if (s->closed) {
        return;
    }
    if (belongs_to_node(s) && !s->session_stays_open) {
        atomic_fetch_add(&s->node.index.header->given_up, 1);
    }
    if (mpi_is_bound() && !program_uses_mpi(s)) {
        cancel_thread(s);
        slot_finalize();
    }
}

/* This rank (it calls exec, say) does not need the service any more, and will not close the session
 * with the others: its node must not wait for it. If it was the leader, nobody serves the node any
 * more. */
static void leave_without_closing(struct service *s)
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

void service_after_exec(const struct node_cache *node)
{
    struct service *s = &the_service;

    s->pid = sys_getpid();
    s->has_cache = node != NULL;
    if (s->has_cache) {
        s->node = *node;
    }
    s->phase = PHASE_AFTER_EXEC;
    leave_without_closing(s);
}

void service_lose_mpi(void)
{
    struct service *s = &the_service;

    if (!service_is_here() || s->handed_over || atomic_load(&s->has_lost_mpi)) {
        return;
    }
    if (s->phase == PHASE_SERVING) {
        fi_log(LOG_INFO, "the program takes the number of a descriptor that MPI uses: this rank "
                         "leaves MPI before the others do");
        leave_without_closing(s);
        service_announce_exec(s);
    }
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->has_lost_mpi, true);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    service_wait_past(s, PHASE_SERVING, STOP_MS);
    cancel_thread(s);
    protected_fd_forget_all(PROTECTED_MPI);
}

void service_leave_cache(void)
{
    struct service *s = &the_service;

    if (service_is_here() && belongs_to_node(s)) {
        node_leave(&s->node);
    }
}

/* Before exec, finalises PMI for fastimport's MPI, unless the program uses MPI itself. If PMI
 * stayed open and the new program did not close it, the launcher would take the new program's end
 * for a crash and end the job. (The new program cannot start MPI in this slot then.) */
static void finalize_slot(const struct service *s)
{
    if ((s->phase == PHASE_AFTER_EXEC || mpi_is_bound()) && !program_uses_mpi(s)) {
        slot_finalize();
    }
}

/* Before exec of a program in which fastimport will not be: does here what service_after_exec()
 * would do there. */
static void finish_before_exec(struct service *s)
{
    if (s->phase != PHASE_AFTER_EXEC) {
        leave_without_closing(s);
    }
    finalize_slot(s);
    if (s->has_cache) {
        node_leave(&s->node);
    }
    s->handed_over = true;
}

void service_before_exec(bool exec_target_is_ours, char *const environment[])
{
    struct service *s = &the_service;

    if (!service_is_here() || s->closed || s->handed_over) {
        return;
    }
    if (s->phase == PHASE_SERVING) {
        service_announce_exec(s);
    }
    if (!exec_target_is_ours) {
        finish_before_exec(s);
    } else if (!slot_is_named_in(environment)) {
        finalize_slot(s);
    }
}

/* True for the first call only. After _exit(2), MPI must not call back into the program. */
static bool begin_leaving(struct service *s, bool by__exit)
{
    int before = NOT_LEAVING;

    return atomic_compare_exchange_strong(
        &s->leaving, &before, by__exit && init_program_initialized() ? LEAVING_BY__EXIT : LEAVING);
}

/* Tells the service thread that this rank leaves, and waits until it has closed the session. */
static void end_service(struct service *s, int status, bool by__exit)
{
    if (belongs_to_node(s)) {
        atomic_fetch_add(&s->node.index.header->leaving, 1);
        segment_ring(&s->node.index);
    }
    if (s->phase == PHASE_SERVING) {
        if (status != 0 && program_uses_mpi(s)) {
            return;
        }
        if (!by__exit) {
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

void service_finish(int status, bool by__exit)
{
    struct service *s = &the_service;

    if (!service_is_here() || atomic_exchange(&s->finished, 1) != 0) {
        return;
    }
    if (s->phase == PHASE_AFTER_EXEC) {
        slot_finalize_after_exec();
    } else if (atomic_load(&s->has_lost_mpi)) {
        slot_finalize();
    } else if (begin_leaving(s, by__exit)) {
        end_service(s, status, by__exit);
    }
    if (belongs_to_node(s)) {
        node_leave(&s->node);
    }
}
