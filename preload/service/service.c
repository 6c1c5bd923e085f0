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
#include "base/path.h"
#include "base/sys.h"
#include "dlopen/closure.h"
#include "mpi/bind.h"
#include "mpi/init.h"
#include "mpi/pmi_slot.h"
#include "policy/roots.h"
#include "service/internal.h"
#include "service/learn.h"
#include "service/tell.h"

enum {
    NAP_MIN_NS = 20000,         /* after work; naps double from here ... */
    NAP_BUSY_NS = 50000,        /* ... up to this, while a large transfer is under way */
    NAP_MAX_NS = 1000000,       /* ... else up to this */
    NAP_IDLE_NS = 5000000,      /* ... or to this, when there was no work for idle_after_ns */
    NAP_DORMANT_NS = 100000000, /* ... or to this, when there was none for FASTIMPORT_IDLE_MS */
    WAIT_BUDGET = 6,            /* in units of FASTIMPORT_WAIT_MS */
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

bool service_lost_timeout(struct service *s)
{
    int64_t now = sys_now_ns();

    if (!s->broken) {
        service_check(s, job_poll_lost(&s->job, &s->lost), "receiving");
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

/* In the service thread. A thread of the program that calls exec waits for it
 * (service_announce_exec()). */
static void announce_exec(struct service *s)
{
    if (atomic_load(&s->exec_announcement) != ANNOUNCING) {
        return;
    }
    job_announce_exec(&s->job, &s->lost); /* an error changes nothing: exec does not wait for it */
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

/* The thread sleeps for ever instead of ending: pthread_exit(3) would load libgcc_s, and the thread
 * may hold locks that MPI takes at the exit. */
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

/* Others wait for what a node answers, so naps are short as long as something happens. The ranks of
 * a node wake its service; what comes from other nodes it finds when it looks. */
static int64_t longest_nap_ns(const struct service *s, int64_t now)
{
    int64_t quiet = now - s->last_work;

    if (atomic_load(&s->leaving) || quiet <= idle_after_ns) {
        return NAP_MAX_NS;
    }
    return quiet <= (int64_t)s->input.config->idle_ms * 1000000 ? NAP_IDLE_NS : NAP_DORMANT_NS;
}

void service_rest(struct service *s, bool worked)
{
    int64_t now = sys_now_ns();
    int64_t most = longest_nap_ns(s, now);

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
    /* a longer pause: the other side has stopped */
    if (s->in_flight && now - s->last_work < idle_after_ns) {
        most = NAP_BUSY_NS;
    }
    s->nap_ns = s->nap_ns * 2 < most ? s->nap_ns * 2 : most;
}

/* --- joining --- */

static bool join_job(struct service *s)
{
    char why[512];
    char prefix[FI_PATH_MAX];
    bool has_prefix = s->input.role.is_python && s->input.argc > 0 &&
                      roots_prefix(s->input.argv[0], prefix, sizeof prefix);

    if (!mpi_bind(s->input.config->mpi, has_prefix ? prefix : NULL, why, sizeof why)) {
        tell_idle(s->input.config, s->input.role.rank <= 0, LOG_WARN,
                  "%s; going on without fastimport", why);
        return false;
    }
    return service_check(s, job_open(&s->job, s->input.role.is_python), "joining the job");
}

/* A rank that could not attach cannot count itself in the segment when it leaves, so the leader
 * counts it as gone from the start. */
static bool count_absent(struct service *s)
{
    int absent;

    if (!service_check(s, job_sum_node(&s->job, !s->has_cache, &absent),
                       "the count of the node's ranks")) {
        return false;
    }
    if (s->job.node_rank == 0) {
        atomic_fetch_add(&s->node.index.header->leaving, (uint32_t)absent);
    }
    return true;
}

static void publish_leader(struct segment_header *h)
{
    h->leader_namespace = sys_pid_namespace();
    atomic_store(&h->leader, sys_getpid());
}

/* The leader makes the node cache, the others attach to it. */
static bool service_open_cache(struct service *s)
{
    struct wire_node cache = {0};
    int error = 0;

    if (s->job.node_rank == 0) {
        node_sweep(s->input.config->dir);
        error = node_create(&s->node, s->input.config->dir, (uint32_t)s->job.node_size);
        if (error != 0) {
            fi_log(LOG_WARN,
                   "cannot make a node cache in %s: %s; this node reads the file system itself "
                   "(FASTIMPORT_DIR names another directory)",
                   s->input.config->dir,
                   error == -EPERM ? "other users could replace it there" : strerror(-error));
        } else {
            publish_leader(s->node.index.header);
            atomic_store(&s->node.index.header->silence_ns,
                         s->job.n_nodes == 1 ? 0 : (int64_t)s->input.config->wait_ms * 1000000);
            s->has_cache = true; /* from here on it must be left, also when joining fails */
            cache.usable = 1;
            cache.nonce = s->node.index.header->nonce;
            strcpy(cache.directory, s->node.directory);
        }
    }
    if (!service_check(s, job_share_node(&s->job, &cache, sizeof cache),
                       "sharing the node cache's name")) {
        return false;
    }
    if (cache.usable && s->job.node_rank != 0) {
        error = node_attach(&s->node, cache.directory, cache.nonce);
        if (error != 0) {
            fi_log(LOG_WARN, "cannot attach to the node cache %s: %s", cache.directory,
                   strerror(-error));
        }
    }
    s->has_cache = cache.usable && error == 0;
    return !cache.usable || count_absent(s);
}

static void service_open_plan(struct service *s)
{
    struct plan_identity identity = {s->input.argc, s->input.argv, s->hello.roots};

    if (s->hello.usable && s->hello.roots_size > 0) {
        plan_open(&s->plan, s->input.config, &identity);
        learn_remember(&s->plan);
        s->hello.planned = (uint32_t)s->plan.n;
    }
}

/* The root decides what is served, and tells all ranks. */
static bool share_hello(struct service *s)
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
            tell_idle(s->input.config, true, LOG_INFO, "%s", tell_no_roots);
        }
        policy_load(&s->policy, s->hello.roots, s->hello.roots_size);
        mount_check_look(&s->policy, &s->hello.mount_check);
        service_open_plan(s);
    }
    return service_check(s, job_share_all(&s->job, &s->hello, sizeof s->hello),
                         "sharing the table of roots");
}

/* Loads the root's table. Where one of its directories is a different mount here, this rank is
 * served nothing at all: libraries and symlinks lead from one directory to another. */
static void load_policy(struct service *s)
{
    policy_load(&s->policy, s->hello.roots, s->hello.roots_size);
    if (s->job.rank != s->job.root) {
        mount_check_map(&s->policy, &s->hello.mount_check, &s->devices);
        s->differs = mount_check_exclude(&s->policy, &s->hello.mount_check) > 0;
    }
    if (s->differs) {
        fi_log(s->job.node_rank == 0 ? LOG_WARN : LOG_INFO,
               "a served directory is a different mount here than on the root rank "
               "(FASTIMPORT_LOG=info "
               "names it): this rank reads it from the file system");
    }
}

/* The ranks' children read the table of roots from the index. */
static void publish_roots(struct service *s)
{
    struct fi_query q;

    if (s->job.node_rank != 0) {
        return;
    }
    q = query_make(RECORD_ROOTS, 0, "/", 1);
    segment_add(&s->node.index, &q, RECORD_LOCAL, s->hello.roots, s->hello.roots_size + 1);
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
    if (service_step_is_split(s)) { /* nothing is served, but MPI must be closed in order */
        return true;
    }
    if (!service_open_cache(s) || !share_hello(s)) {
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

static void service_serve(struct service *s)
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

/* At the exit: waits for the other ranks of the node, then the counters go to the root. */
static void service_collect(struct service *s)
{
    while (!service_node_leaves(s) && !service_lost_timeout(s)) {
        service_rest(s, false);
    }
    if (s->job.rank == s->job.root) {
        root_collect(s);
    } else if (!s->exit_stats.begun) {
        leader_send_exit_stats(s);
    }
}

/* At the exit: the counters go to the root, then all ranks close the session together. After a
 * failure the other ranks still wait for this one, so it comes, too; but not for ever, as they may
 * have given up. The limit is twice the wait budget because a node whose root is silent comes one
 * budget later. */
static void service_leave(struct service *s)
{
    struct job_shutdown shutdown = {.lost = &s->lost};

    if (s->job.node_rank == 0 && s->hello.usable && s->hello.roots_size > 0) {
        service_collect(s);
    }
    shutdown.mine =
        atomic_load(&s->leaving) == LEAVING_BY__EXIT || s->has_pending_messages || slot_is_lost();
    shutdown.limit_ns = s->broken || s->root_lost ? 2 * service_wait_budget_ns(s) : 0;
    if (service_check(s, job_shutdown_barrier(&s->job, &shutdown), "session close")) {
        leader_end_exit_stats(s);
        s->session_stays_open = shutdown.any;
        s->closed = !shutdown.any && service_check(s, job_close(&s->job), "session close");
    } else { /* the others wait for this rank: tell them that it will not come */
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
    fs_view_pin();
    if (s->input.directory != NULL && fs_view_pinned) {
        sys_chdir(s->input.directory);
    }
    if (!service_join(s)) {
        set_phase(s, PHASE_FAILED);
        return NULL;
    }
    set_phase(s, PHASE_SERVING);
    service_serve(s);
    wait_until_leaving(s);
    service_leave(s);
    if (s->closed && s->has_cache && atomic_load(&s->finished)) {
        /* done here because a filter of system calls (seccomp(2)) may forbid it to the program's
         * thread */
        node_leave(&s->node);
    }
    set_phase(s, PHASE_GONE);
    return NULL;
}

/* --- seen from the program's threads --- */

/* Blocks all signals in the new thread: they are for the program's own threads. */
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
    init_at_foreign(tell_foreign);
    sys_prepare_high();
    error = start_thread(s);
    if (error != 0) {
        tell_idle(input->config, input->role.rank <= 0, LOG_WARN,
                  "cannot start a thread: %s; going on without fastimport", strerror(error));
        return false;
    }
    s->pid = sys_getpid();
    if (!service_wait_past(s, PHASE_JOINING, input->config->join_ms)) {
        /* rank 1 tells it, too: rank 0 may be the missing one */
        tell_idle(input->config, input->role.rank <= 1, LOG_WARN,
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
