/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c - the constructor: which role this process has, and what is wired to what. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dirtree.h"
#include "base/fs_view.h"
#include "base/guard.h"
#include "base/held.h"
#include "base/log.h"
#include "base/sys.h"
#include "cache/counters.h"
#include "early/dlopen.h"
#include "early/libpath.h"
#include "intercept/mpi.h"
#include "mpi/bind.h"
#include "mpi/init.h"
#include "mpi/launcher_shell.h"
#include "mpi/pmi_slot.h"
#include "mpi/presence.h"
#include "policy/roots.h"
#include "process/config.h"
#include "process/role.h"
#include "process/signals.h"
#include "resolve.h"
#include "service/service.h"
#include "service/tell.h"

static const char warned_variable[] = "FASTIMPORT_TOLD";

static struct fi_config config;

static void warn(const char *sentence)
{
    fi_log(LOG_WARN, "%s", sentence);
}

/* Only the lowest rank complains about the environment, which is the same everywhere. */
static void load_config(const struct role_facts *role)
{
    bool complains = role->rank <= 0 && role->role == ROLE_RANK;
    char file[4096];
    const char *name = NULL;
    int error;

    config_load(&config, complains ? warn : NULL);
    if (config.log_file != NULL && config_expand(config.log_file, role->rank, file, sizeof file)) {
        name = file;
    }
    error = log_configure(config.log, name, role->rank);
    if (complains) {
        if (error != 0) {
            fi_log(LOG_WARN, "FASTIMPORT_LOG_FILE: cannot open %s: %s; using standard error", name,
                   strerror(-error));
        }
        config_name_unknown(environ, warn);
    }
}

/* Descendants find the node cache in the environment. Where there is none, or nothing is served,
 * they must know all the same that the slot's MPI is taken. */
static void tell_descendants(const struct service_result *r)
{
    char value[512];

    if (r->node != NULL) {
        snprintf(value, sizeof value, "%d:%llx:%llx:%s", (int)sys_getpid(),
                 (unsigned long long)r->node->index.header->nonce,
                 (unsigned long long)(r->differs ? 0 : fs_view_identity()), r->node->directory);
    } else {
        snprintf(value, sizeof value, "%d", (int)sys_getpid());
    }
    if (r->node != NULL || r->speaks_mpi) {
        setenv(ROLE_NODE_VARIABLE, value, 1);
    }
}

static void after_fork_in_child(void)
{
    serving_detach_fill();
}

/* --- what MPI has opened for us --- */

struct open_numbers {
    uint64_t bits[HELD_NUMBERS / 64];
};

static bool note_number(void *numbers, const char *name, unsigned char type)
{
    int fd = atoi(name);

    (void)type;
    if (fd >= 0 && fd < HELD_NUMBERS) {
        ((struct open_numbers *)numbers)->bits[fd / 64] |= 1ULL << (fd % 64);
    }
    return true;
}

static void look_at_descriptors(struct open_numbers *numbers)
{
    int fd = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    memset(numbers, 0, sizeof *numbers);
    if (fd >= 0) {
        dirtree_each(fd, note_number, numbers);
        if (fd < HELD_NUMBERS) { /* this one */
            numbers->bits[fd / 64] &= ~(1ULL << (fd % 64));
        }
        sys_close(fd);
    }
}

/* Sockets, and what waits for them. (A file may be one that a helper of ours reads just now.) */
static bool is_channel(int fd)
{
    struct stat st;

    return sys_fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static void hold_new(const struct open_numbers *before)
{
    struct open_numbers now;

    look_at_descriptors(&now);
    for (int fd = 0; fd < HELD_NUMBERS; fd++) {
        if ((now.bits[fd / 64] & ~before->bits[fd / 64]) >> (fd % 64) & 1 && is_channel(fd)) {
            held_add(fd, HELD_MPI);
        }
    }
}

/* Is this rank served, from now on? in_init: in the program's MPI_Init, where what MPI does to
 * signal handlers is what the program has asked for. */
static bool main_join(const struct service_input *input, bool in_init)
{
    struct service_result result;
    struct open_numbers before;
    struct signals signals;
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
    if (!in_init) {
        signals_save(&signals);
        look_at_descriptors(&before);
    }
    serves = service_start(input, &result);
    if (!in_init) {
        signals_restore(&signals);
        hold_new(&before);
    }
    if (result.node != NULL) {
        presence_done();
    }
    tell_descendants(&result);
    if (!serves) {
        return false;
    }
    pthread_atfork(NULL, NULL, after_fork_in_child);
    count_add(&fi_count->init_ns, (uint64_t)(sys_now_ns() - start));
    serving_start(result.node, result.fill, result.policy);
    return true;
}

static struct service_input late;
static struct {
    char shell[32];
    bool tells; /* of a rank and its children, one does */
} below;

static void join_late(void)
{
    fi_enter();
    if (main_join(&late, true)) {
        fi_log(below.tells ? LOG_WARN : LOG_INFO,
               "this program is served from its MPI_Init on only: the shell that started it (%s) "
               "may start other MPI programs here; with 'exec' in the script, or "
               "FASTIMPORT_BELOW_SHELL=start, it is served from its start",
               below.shell);
    }
    fi_leave();
}

/* The program may change its arguments and its working directory until then. */
static bool main_remember(const struct service_input *in)
{
    static char directory[FI_PATH_MAX];
    char **argv = calloc((size_t)in->argc + 1, sizeof *argv);

    for (int i = 0; argv != NULL && i < in->argc; i++) {
        argv[i] = strdup(in->argv[i]);
        if (argv[i] == NULL) {
            return false; // NOLINT(clang-analyzer-unix.Malloc): little, once, and nothing is left
        }
    }
    late = *in;
    late.argv = argv;
    late.directory = sys_getcwd(directory, sizeof directory) > 0 ? directory : NULL;
    return argv != NULL;
}

static bool has_what_we_serve(const struct service_input *in)
{
    struct roots_input roots = {in->config, in->argc, in->argv, in->role.is_python, false};
    char text[POLICY_TEXT];

    return roots_compute(&roots, text, sizeof text) > 0;
}

/* A slot can start MPI once, and a shell may start several programs in it. Which of them is to have
 * MPI is known when one initialises it; before, we must not. */
static bool must_wait(void)
{
    return config.join == FI_AT_INIT && launcher_shell_above(below.shell, sizeof below.shell);
}

/* What is to be said is said when the program calls MPI_Init, or ends without it. */
static void wait_for_init(const struct service_input *in)
{
    bool may_warn = in->role.rank == 0 && getenv(warned_variable) == NULL;

    below.tells = may_warn && has_what_we_serve(in) && setenv(warned_variable, "1", 1) == 0;
    if (main_remember(in)) {
        init_join_late(join_late);
        if (may_warn) {
            tell_expected(&config, below.shell, below.tells);
        }
    }
}

/* A Python of which nothing is on a network file system does nothing at all; nor do, as it is
 * started like them, the others of its job. Where they differ, those that have something wait for
 * this one as for any rank that does not join. An MPI program without Python cannot know whether
 * another rank is a Python. */
static bool is_idle(const struct service_input *in)
{
    struct roots_input roots = {in->config, in->argc, in->argv, true, false};

    if (!in->role.is_python || !roots_are_none(&roots)) {
        return false;
    }
    tell_idle(in->config, in->role.rank == 0, LOG_INFO, "%s", tell_nothing_of_ours);
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
    mpi_ask_before_searching(early_is_nowhere);
    unsetenv(LIBPATH_VARIABLE); /* children have no use for it */
    mpi_calls_begin();
    if (must_wait()) {
        wait_for_init(&input);
    } else {
        main_join(&input, false);
    }
}

/* In another container, say, or behind chroot, the cache's names are those of other files. */
static bool sees_the_same(const struct role_facts *role)
{
    return role->view != 0 && role->view == fs_view_identity();
}

/* False: there is no cache, or it cannot be used. Children of ranks have nothing to give back, and
 * nothing to do at their end. */
static bool main_attach(const struct role_facts *role, struct node_cache *node)
{
    bool known = role->node != NULL && sees_the_same(role);
    bool attached;

    if (!role->was_rank) {
        return known && node_visit(node, role->node, role->nonce) == 0;
    }
    attached = known && node_attach(node, role->node, role->nonce) == 0;
    slot_prepare();
    service_abandoned(attached ? node : NULL);
    return attached;
}

/* A descendant of a rank: whatever is wrong with the cache, it goes on without. */
static void start_attached(const struct role_facts *role)
{
    static struct node_cache node;
    static struct policy policy;
    struct fi_query q = query_make(RECORD_ROOTS, 0, "/", 1);
    const struct record *roots = main_attach(role, &node) ? segment_find(&node.index, &q) : NULL;

    if (roots == NULL || !record_valid(roots, node.index.mapped)) {
        return;
    }
    policy_load(&policy, record_payload(roots), roots->payload_size - 1);
    serving_start(&node, NULL, &policy);
}

/* Its ranks find what it has seen in their environment. They are a job of their own, also where a
 * rank of another one has started it, or has become it. */
static void start_launcher(const struct role_facts *role)
{
    static struct node_cache node;
    char *text = malloc(LIBPATH_TEXT);

    if (text != NULL && libpath_describe(getenv("LD_LIBRARY_PATH"), text) > 0) {
        setenv(LIBPATH_VARIABLE, text, 1);
    } else { /* another launcher's, perhaps of long ago */
        unsetenv(LIBPATH_VARIABLE);
    }
    if (role->was_rank) {
        main_attach(role, &node);
    }
    unsetenv(ROLE_NODE_VARIABLE);
    free(text);
}

static void tell_of_spawn(const struct role_facts *role)
{
    if (role->rank == 0) {
        fi_enter();
        load_config(role);
        fi_log(LOG_INFO, "MPI_Comm_spawn has started this program: it is not served");
        fi_leave();
    }
}

__attribute__((constructor)) static void fastimport_start(int argc, char **argv)
{
    struct role_facts role = role_decide();

    if (role.is_spawned) {
        tell_of_spawn(&role);
    }
    if (role.role == ROLE_PASSIVE) {
        return;
    }
    fi_enter();
    load_config(&role);
    if (role.role == ROLE_RANK) {
        start_rank(&role, argc, argv);
    } else if (role.role == ROLE_LAUNCHER) {
        start_launcher(&role);
    } else {
        start_attached(&role);
    }
    fi_leave();
}
