/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c - the constructor: which role this process has, and what is wired to what. */
#include <pthread.h>
#include <stdlib.h>

#include "base/fs_view.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/protected_fd.h"
#include "base/sys.h"
#include "cache/counters.h"
#include "early/dlopen.h"
#include "early/libpath.h"
#include "fill/fill.h"
#include "intercept/mpi.h"
#include "mpi/bind.h"
#include "mpi/launcher_library.h"
#include "mpi/pmi_slot.h"
#include "mpi/presence.h"
#include "policy/roots.h"
#include "process/config.h"
#include "process/descriptors.h"
#include "process/launcher_args.h"
#include "process/role.h"
#include "process/serving.h"
#include "process/signals.h"
#include "service/late_join.h"
#include "service/service.h"
#include "service/tell.h"

static struct fi_config config;

/* --- a rank --- */

/* Descendants find the node cache in the environment. If there is none, or nothing is served, they
 * must know all the same that MPI is in use in this slot. */
static void announce_node(const struct service_result *r)
{
    if (r->node != NULL) {
        role_announce(r->node->directory, r->node->index.header->nonce,
                      r->differs ? 0 : fs_view_identity());
    } else if (r->speaks_mpi) {
        role_announce(NULL, 0, 0);
    }
}

/* Opening MPI must not change what the program sees: its signal handlers, and which descriptors it
 * can close. */
static bool start_service_unseen(const struct service_input *input, struct service_result *result)
{
    struct descriptors descriptors;
    struct signals signals;
    bool serves;

    signals_save(&signals);
    descriptors_save(&descriptors);
    serves = service_start(input, result);
    signals_restore(&signals);
    descriptors_hold_new(&descriptors);
    return serves;
}

/* The child of a fork has none of its parent's threads that look things up. */
static void main_become_guest(void)
{
    static struct fill guest;

    fill_init_guest(&guest, resolver.node, config.wait_ms);
    serving_become_guest(&guest);
}

/* Joins the job. True: this rank is served from now on. in_init: the program is in its MPI_Init, so
 * what MPI changes is what the program has asked for. */
static bool main_join(const struct service_input *input, bool in_init)
{
    struct service_result result;
    int64_t start = sys_now_ns();
    bool serves;

    if (!slot_claim()) {
        return false;
    }
    if (!presence_await(config.dir, config.join_ms)) {
        role_isolate(); /* else its children would take the slot */
        tell_idle(&config, input->role.rank == 0, LOG_INFO,
                  "not all ranks have joined: some of this node are missing");
        return false;
    }
    serves = in_init ? service_start(input, &result) : start_service_unseen(input, &result);
    if (result.node != NULL) {
        presence_done();
    }
    announce_node(&result);
    if (!serves) {
        return false;
    }
    pthread_atfork(NULL, NULL, main_become_guest);
    count_add(&fi_count->init_ns, (uint64_t)(sys_now_ns() - start));
    serving_start(result.node, result.fill, result.policy, false);
    return true;
}

static bool join_in_init(const struct service_input *input)
{
    return main_join(input, true);
}

/* A Python of which nothing is on a network file system does nothing at all. The other ranks of its
 * job are started in the same way, and so do nothing, either; if they differ, those that have
 * something wait for this one as for any rank that does not join. An MPI program without Python
 * joins, because it cannot know whether another rank is a Python. */
static bool is_idle(const struct service_input *in)
{
    struct roots_input roots = {in->config, in->argc, in->argv, true, false};

    if (!in->role.is_python || !roots_are_none(&roots)) {
        return false;
    }
    tell_idle(in->config, in->role.rank == 0, LOG_INFO, "%s", tell_no_roots);
    return true;
}

static void start_rank(const struct role_facts *role, int argc, char **argv)
{
    struct service_input input = {&config, *role, argc, argv, NULL};

    if (is_idle(&input)) {
        role_isolate();
        return;
    }
    early_prepare();
    mpi_set_absence_check(early_is_nowhere);
    unsetenv(LIBPATH_VARIABLE); /* children have no use for it */
    mpi_calls_begin();
    if (late_join_is_needed(&config)) {
        late_join_prepare(&input, join_in_init);
    } else {
        main_join(&input, false);
    }
}

/* --- its descendants --- */

/* In another container, say, or after chroot, the cache's names are those of other files. */
static bool sees_the_same(const struct role_facts *role)
{
    return role->fs_view != 0 && role->fs_view == fs_view_identity();
}

/* Maps the node cache. False: there is none, or it cannot be used. A child of a rank only visits
 * it, and has nothing to release at its end. A rank that has called exec still belongs to its
 * node. */
static bool main_attach(const struct role_facts *role, struct node_cache *node)
{
    bool usable = role->node != NULL && sees_the_same(role);
    bool attached;

    if (!role->was_rank) {
        return usable && node_visit(node, role->node, role->nonce) == 0;
    }
    attached = usable && node_attach(node, role->node, role->nonce) == 0;
    slot_prepare();
    service_after_exec(attached ? node : NULL);
    return attached;
}

/* Whatever is wrong with the cache, the process goes on without it. */
static void start_attached(const struct role_facts *role)
{
    static struct node_cache node;
    static struct policy policy;
    static struct fill guest;
    struct fi_query q = query_make(RECORD_ROOTS, 0, "/", 1);
    const struct record *roots = main_attach(role, &node) ? segment_find(&node.index, &q) : NULL;

    if (roots == NULL || !record_valid(roots, node.index.mapped)) {
        return;
    }
    policy_load(&policy, record_payload(roots), roots->payload_size - 1);
    fill_init_guest(&guest, &node, config.wait_ms);
    serving_start(&node, &guest, &policy, true);
}

/* --- a launcher --- */

/* Its ranks find in the environment what it has listed (early/libpath.h), and its own MPI library
 * (mpi/launcher_library.h). They are a job of their
 * own, even if a rank of another job has started this launcher, or has called exec to become it. */
static void start_launcher(const struct role_facts *role)
{
    static struct node_cache node;
    char *text = malloc(LIBPATH_TEXT);
    char program[FI_PATH_MAX];

    if (text != NULL && libpath_describe(getenv("LD_LIBRARY_PATH"), text) > 0) {
        setenv(LIBPATH_VARIABLE, text, 1);
    } else { /* it may be set by another launcher, which has listed other directories */
        unsetenv(LIBPATH_VARIABLE);
    }
    if (sys_program(program, sizeof program) > 0) {
        launcher_library_tell(program);
    }
    if (role->was_rank) {
        main_attach(role, &node);
    }
    unsetenv(ROLE_NODE_VARIABLE);
    free(text);
    launcher_args_want();
}

/* --- the constructor --- */

/* The environment is the same in all ranks, so only the lowest one complains about it. */
static void start_config(const struct role_facts *role)
{
    config_start(&config, role->rank, role->rank <= 0 && role->role == ROLE_RANK);
}

static void tell_spawned(const struct role_facts *role)
{
    if (role->rank == 0) {
        fi_enter();
        start_config(role);
        fi_log(LOG_INFO, "MPI_Comm_spawn has started this program: it is not served");
        fi_leave();
    }
}

/* Children that are Pythons, too, say it no more: torchrun's workers, say. */
static void tell_alone(const struct role_facts *role)
{
    static const char told_variable[] = "FASTIMPORT_TOLD";

    if (getenv("FASTIMPORT_LOG") != NULL && getenv(told_variable) == NULL) {
        fi_enter();
        start_config(role);
        if (LOG_INFO <= log_threshold()) {
            fi_log(LOG_INFO, "no launcher of MPI jobs has started this program, so it is not "
                             "served (mpiexec and srun are such, torchrun is none)");
            setenv(told_variable, "1", 1);
        }
        fi_leave();
    }
}

__attribute__((constructor)) static void fastimport_start(int argc, char **argv)
{
    struct role_facts role = role_decide();

    if (role.is_spawned) {
        tell_spawned(&role);
    }
    if (role.is_alone) {
        tell_alone(&role);
    }
    if (role.role == ROLE_PASSIVE) {
        return;
    }
    fi_enter();
    start_config(&role);
    if (role.role == ROLE_RANK) {
        start_rank(&role, argc, argv);
    } else if (role.role == ROLE_LAUNCHER) {
        start_launcher(&role);
    } else {
        start_attached(&role);
    }
    fi_leave();
}
