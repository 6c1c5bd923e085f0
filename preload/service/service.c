/* SPDX-License-Identifier: BSD-3-Clause */
/* service.c - see service.h */
#include "service/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/fs_view.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/sys.h"
#include "dlopen/closure.h"
#include "mpi/bind.h"
#include "mpi/init.h"
#include "mpi/pmi_slot.h"
#include "policy/roots.h"
#include "service/internal.h"
#include "service/tell.h"

enum {
    NAP_MIN_NS = 20000,
    NAP_BUSY_NS = 50000,
    NAP_MAX_NS = 1000000,
    NAP_IDLE_NS = 5000000, /* when nothing has happened for IDLE_AFTER_NS */
    WAIT_BUDGET = 6,       /* in units of FASTIMPORT_WAIT_MS */
};

static const int64_t idle_after_ns = 1000000000;

struct service the_service = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};

bool service_check(struct service *s, int error, const char *what)
{
    if (error == 0) {
        return true;
    }
    if (!s->broken) {
        s->broken = true;
        tell_broken(s, error, what);
        if (s->has_cache) {
            atomic_store(&s->node.index.header->state, SERVICE_DEAD);
            segment_announce(&s->node.index);
        }
    }
    return false;
}

bool service_node_leaves(const struct service *s)
{
    if (!s->has_cache) {
        return atomic_load(&s->leaving) != NOT_LEAVING;
    }
    return atomic_load(&s->node.index.header->leaving) >= s->node.index.header->n_ranks;
}

bool service_waits_in_vain(struct service *s)
{
    int64_t now = sys_now_ns();

    if (!s->broken) {
        service_check(s, job_poll_lost(&s->job, &s->lost), "receive");
    }
    if (s->lost_since == 0 && atomic_load(&s->lost)) {
        s->lost_since = now;
    }
    return s->lost_since != 0 && now - s->lost_since > service_wait_budget_ns(s) / 2;
}

int64_t service_wait_budget_ns(const struct service *s)
{
    return (int64_t)s->input.config->wait_ms * 1000000 * WAIT_BUDGET;
}

/* In the service thread: exec waits for this. */
static void announce_exec(struct service *s)
{
    if (atomic_load(&s->exec_announcement) != ANNOUNCING) {
        return;
    }
    job_announce_exec(&s->job, &s->lost); /* whatever becomes of it */
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->exec_announcement, ANNOUNCED);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void set_phase(struct service *s, enum service_phase phase)
{
    pthread_mutex_lock(&s->lock);
    s->phase = phase;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* The thread stays: to end it would take libgcc_s, and it may hold what MPI wants at the exit. */
void service_may_stop(struct service *s)
{
    if (!atomic_load(&s->has_lost_mpi)) {
        return;
    }
    set_phase(s, PHASE_STOPPED);
    for (;;) {
        sys_nap_ns(INT64_MAX);
    }
}

void service_rest(struct service *s, bool worked)
{
    int64_t now = sys_now_ns();
    int64_t most =
        now - s->last_work > idle_after_ns && !atomic_load(&s->leaving) ? NAP_IDLE_NS : NAP_MAX_NS;

    announce_exec(s);
    service_may_stop(s);
    atomic_fetch_add_explicit(&s->rounds, 1, memory_order_relaxed);
    if (worked) {
        s->last_work = now;
        s->nap_ns = NAP_MIN_NS;
        return;
    }
    if (s->has_cache) {
        segment_sleep(&s->node.index, s->nap_ns);
    } else {
        sys_nap_ns(s->nap_ns);
    }
    if (s->in_flight && now - s->last_work < idle_after_ns) { /* else the other side has stopped */
        most = NAP_BUSY_NS;
    }
    s->nap_ns = s->nap_ns * 2 < most ? s->nap_ns * 2 : most;
}

/* --- joining --- */

static bool join_job(struct service *s)
{
    char why[512];
    char prefix[4096];
    bool has_prefix = s->input.role.is_python && s->input.argc > 0 &&
                      roots_prefix(s->input.argv[0], prefix, sizeof prefix);

    if (!mpi_bind(s->input.config->mpi, has_prefix ? prefix : NULL, why, sizeof why)) {
        tell_idle(s->input.config, s->input.role.rank <= 0, LOG_WARN,
                  "%s; going on without fastimport", why);
        return false;
    }
    return service_check(s, job_open(&s->job, s->input.role.is_python), "start");
}

/* A rank that could not attach cannot say in the segment that it leaves: it counts as gone. */
static bool count_absent(struct service *s)
{
    int absent;

    if (!service_check(s, job_sum_node(&s->job, !s->has_cache, &absent), "send")) {
        return false;
    }
    if (s->job.node_rank == 0) {
        atomic_fetch_add(&s->node.index.header->leaving, (uint32_t)absent);
    }
    return true;
}

static void introduce_leader(struct segment_header *h)
{
    h->leader_namespace = sys_pid_namespace();
    atomic_store(&h->leader, sys_getpid());
}

/* The leader makes the node cache, the others attach to it. */
static bool service_open_cache(struct service *s)
{
    struct wire_node place = {0};
    int error = 0;

    if (s->job.node_rank == 0) {
        node_sweep(s->input.config->dir);
        error = node_create(&s->node, s->input.config->dir, (uint32_t)s->job.node_size);
        if (error != 0) {
            fi_log(LOG_WARN,
                   "cannot make a node cache in %s: %s; this node goes on without (FASTIMPORT_DIR "
                   "names another place)",
                   s->input.config->dir, strerror(-error));
        } else {
            introduce_leader(s->node.index.header);
            s->has_cache = true; /* to be left, whatever comes */
            place.usable = 1;
            place.nonce = s->node.index.header->nonce;
            strcpy(place.directory, s->node.directory);
        }
    }
    if (!service_check(s, job_share_node(&s->job, &place, sizeof place), "broadcast")) {
        return false;
    }
    if (place.usable && s->job.node_rank != 0) {
        error = node_attach(&s->node, place.directory, place.nonce);
        if (error != 0) {
            fi_log(LOG_WARN, "cannot attach to the node cache %s: %s", place.directory,
                   strerror(-error));
        }
    }
    s->has_cache = place.usable && error == 0;
    return !place.usable || count_absent(s);
}

static void service_open_plan(struct service *s)
{
    struct plan_identity identity = {s->input.argc, s->input.argv, s->hello.roots};

    if (s->hello.usable && s->hello.roots_size > 0) {
        plan_open(&s->plan, s->input.config, &identity);
        s->hello.planned = (uint32_t)s->plan.n;
    }
}

/* The root tells all what is to be served. */
static bool greet(struct service *s)
{
    if (s->job.rank == s->job.root) {
        struct roots_input in = {s->input.config, s->input.argc, s->input.argv,
                                 s->input.role.is_python, true};

        if (!s->has_cache) {
            tell_idle(s->input.config, true, LOG_INFO, "rank %d has no node cache in %s",
                      s->job.rank, s->input.config->dir);
        }
        s->hello.usable = s->has_cache;
        s->hello.max_file = s->input.config->max_file;
        s->hello.roots_size = (uint32_t)roots_compute(&in, s->hello.roots, sizeof s->hello.roots);
        if (s->hello.roots_size == 0) {
            tell_idle(s->input.config, true, LOG_INFO, "%s", tell_nothing_of_ours);
        }
        policy_load(&s->policy, s->hello.roots, s->hello.roots_size);
        mount_check_look(&s->policy, &s->hello.mount_check);
        service_open_plan(s);
    }
    return service_check(s, job_share_all(&s->job, &s->hello, sizeof s->hello), "broadcast");
}

/* The root's. Where one of its directories is another here, this rank does without all: libraries
 * and symlinks lead from one to another. */
static void load_policy(struct service *s)
{
    policy_load(&s->policy, s->hello.roots, s->hello.roots_size);
    if (s->job.rank != s->job.root) {
        s->differs = mount_check_exclude(&s->policy, &s->hello.mount_check) > 0;
    }
    if (s->differs) {
        fi_log(s->job.node_rank == 0 ? LOG_WARN : LOG_INFO,
               "a served directory is a different mount here than on the root rank "
               "(FASTIMPORT_LOG=info "
               "names it): this rank reads it from the file system");
    }
}

/* Children find the table of roots in the index. */
static void publish_roots(struct service *s)
{
    struct record *r;

    if (s->job.node_rank != 0) {
        return;
    }
    r = segment_allocate(&s->node.index, 1, s->hello.roots_size + 1);
    if (r != NULL) {
        r->kind = RECORD_ROOTS;
        r->flags = RECORD_LOCAL;
        r->path[0] = '/';
        memcpy((void *)record_payload(r), s->hello.roots, s->hello.roots_size + 1);
        record_seal(r);
        segment_publish(&s->node.index, r);
    }
}

static void take_counters(struct service *s)
{
    struct fi_counters *mine = &s->node.index.header->counters[s->job.node_rank];

    atomic_store(&mine->rank, s->job.rank);
    atomic_store(&mine->joined, 1);
    fi_count = mine;
}

static bool service_join(struct service *s)
{
    if (!join_job(s)) {
        return false;
    }
    if (service_step_is_split(s)) { /* MPI is closed in order all the same */
        return true;
    }
    if (!service_open_cache(s) || !greet(s)) {
        return false;
    }
    if (!s->hello.usable || s->hello.roots_size == 0) {
        return true;
    }
    load_policy(s);
    if (s->has_cache) {
        publish_roots(s);
        take_counters(s);
        fill_init(&s->fill, &s->node, s->job.rank == s->job.root, s->hello.max_file,
                  s->input.config->wait_ms);
        s->fill.planned = s->hello.planned > 0;
        if (s->job.rank == s->job.root) {
            closure_prepare(&s->fill, &s->policy);
            tell_active(s);
        }
        if (s->job.node_rank == 0) {
            atomic_store(&s->node.index.header->bulk, s->hello.planned > 0);
            atomic_store(&s->node.index.header->state, SERVICE_RUNNING);
        }
    }
    return true;
}

/* --- the thread --- */

static void wait_until_leaving(struct service *s)
{
    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->leaving)) {
        if (atomic_load(&s->exec_announcement) != ANNOUNCING && !atomic_load(&s->has_lost_mpi)) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        announce_exec(s);
        service_may_stop(s);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

static void serve(struct service *s)
{
    if (s->job.node_rank != 0 || !s->hello.usable || s->hello.roots_size == 0) {
        return;
    }
    s->nap_ns = NAP_MIN_NS;
    s->last_work = sys_now_ns();
    atomic_store(&s->serving, true);
    if (s->job.rank == s->job.root) {
        root_serve(s);
    } else {
        leader_serve(s);
    }
    atomic_store(&s->serving, false);
    if (s->has_cache) {
        atomic_store(&s->node.index.header->state, SERVICE_ENDED);
        segment_announce(&s->node.index);
    }
}

/* The rest of the node, then the counters to the root. */
static void service_collect(struct service *s)
{
    while (!service_node_leaves(s) && !service_waits_in_vain(s)) {
        service_rest(s, false);
    }
    if (s->job.rank == s->job.root) {
        root_collect(s);
    } else if (!s->exit_stats.said) {
        leader_send_exit_stats(s);
    }
}

/* The exit, in order: counters to the root, then all ranks close the session together. After a
 * failure, too: the others wait for this rank, though not for ever: they may have given up. (Twice
 * the patience: a node whose root is silent comes after one.) */
static void service_leave(struct service *s)
{
    struct job_shutdown shutdown = {.lost = &s->lost};

    if (s->job.node_rank == 0 && s->hello.usable && s->hello.roots_size > 0) {
        service_collect(s);
    }
    shutdown.mine = atomic_load(&s->leaving) == LEAVING_BY__EXIT || s->unfinished || slot_is_lost();
    shutdown.limit_ns = s->broken || s->root_lost ? 2 * service_wait_budget_ns(s) : 0;
    if (service_check(s, job_shutdown_barrier(&s->job, &shutdown), "close")) {
        leader_end_exit_stats(s);
        s->nobody_closes = shutdown.any;
        s->closed = !shutdown.any && service_check(s, job_close(&s->job), "close");
    } else { /* the others wait for this rank */
        atomic_store(&s->lost, true);
        job_poll_lost(&s->job, &s->lost);
    }
}

static void *service_thread(void *argument)
{
    struct service *s = argument;

    fi_enter();
    prctl(PR_SET_NAME, "fastimport");
    prctl(PR_SET_TIMERSLACK, 1000UL);
    fs_view_keep();
    if (s->input.directory != NULL && fs_view_kept) {
        sys_chdir(s->input.directory);
    }
    if (!service_join(s)) {
        set_phase(s, PHASE_FAILED);
        return NULL;
    }
    set_phase(s, PHASE_SERVING);
    serve(s);
    wait_until_leaving(s);
    service_leave(s);
    if (s->closed && s->has_cache && atomic_load(&s->finished)) {
        /* here: the program's thread may be under a filter of system calls */
        node_leave(&s->node);
    }
    set_phase(s, PHASE_GONE);
    return NULL;
}

/* --- seen from the program's threads --- */

/* All signals are for the program's own threads. */
static int start_thread(struct service *s)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&s->thread, NULL, service_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

bool service_is_here(void)
{
    return the_service.pid != 0 && sys_is_pid(the_service.pid);
}

bool service_start(const struct service_input *input, struct service_result *result)
{
    struct service *s = &the_service;
    int error;

    *result = (struct service_result){.node = NULL};
    s->input = *input;
    init_at_finalize(service_end_before_finalize);
    sys_prepare_high();
    error = start_thread(s);
    if (error != 0) {
        tell_idle(input->config, input->role.rank <= 0, LOG_WARN,
                  "cannot start a thread: %s; going on without fastimport", strerror(error));
        return false;
    }
    s->pid = sys_getpid();
    if (!service_wait_past(s, PHASE_JOINING, input->config->join_ms)) {
        tell_idle(input->config, input->role.rank <= 1, LOG_WARN, /* rank 0 may be missing */
                  "not all ranks have joined within %llu ms (one may be no Python and no MPI "
                  "program); going on without fastimport",
                  (unsigned long long)input->config->join_ms);
        result->speaks_mpi = true;
        return false;
    }
    *result = (struct service_result){s->has_cache ? &s->node : NULL, &s->fill, &s->policy,
                                      mpi_is_bound(), s->differs};
    return s->phase != PHASE_FAILED && s->has_cache && s->hello.usable && s->hello.roots_size > 0 &&
           !s->differs;
}
