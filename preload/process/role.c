/* SPDX-License-Identifier: BSD-3-Clause */
/* role.c - see role.h */
#include "process/role.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/path.h"
#include "base/sys.h"

/* The variables of the launchers: hydra, Slurm's PMI-2, PMIx, Open MPI, Intel MPI, MVAPICH, Cray's
 * PALS and ALPS. The order is from inner to outer: hydra's daemons may run in a step of Slurm.
 * sizes: the same launcher's variables for the number of ranks. */
static const struct launcher {
    const char *rank;
    const char *sizes[2];
} launchers[] = {
    {"PMI_RANK", {"PMI_SIZE"}},
    {"PMI_ID", {"PMI_SIZE"}},
    {"PMIX_RANK", {"OMPI_COMM_WORLD_SIZE"}},
    {"OMPI_COMM_WORLD_RANK", {"OMPI_COMM_WORLD_SIZE"}},
    {"MPIRUN_RANK", {"MPIRUN_NPROCS"}},
    {"PALS_RANKID", {"PALS_NRANKS", "PMI_SIZE"}},
    {"ALPS_APP_PE", {NULL}},
    {"SLURM_PROCID", {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}},
};

/* A batch script of Slurm has SLURM_PROCID=0, too, but is no rank: it has no step, since srun has
 * not yet started one. */
static bool is_in_force(const char *variable)
{
    return strcmp(variable, "SLURM_PROCID") != 0 || getenv("SLURM_STEP_ID") != NULL;
}

static int role_number_in(const char *variable)
{
    const char *text = variable == NULL ? NULL : getenv(variable);

    return text != NULL && text[0] >= '0' && text[0] <= '9' ? (int)strtol(text, NULL, 10) : -1;
}

static void ask_launcher(struct role_facts *facts)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers && facts->rank < 0; i++) {
        const struct launcher *l = &launchers[i];

        facts->rank = is_in_force(l->rank) ? role_number_in(l->rank) : -1;
        for (int j = 0; j < 2 && facts->rank >= 0 && facts->size <= 0; j++) {
            facts->size = role_number_in(l->sizes[j]);
        }
    }
}

/* Has MPI_Comm_spawn started this process? hydra (MPICH, Intel MPI), MVAPICH and ParaStation set
 * PMI_SPAWNED, Open MPI sets OMPI_PARENT_PORT. */
static bool is_spawned(void)
{
    const char *spawned = getenv("PMI_SPAWNED");

    return (spawned != NULL && strtol(spawned, NULL, 10) > 0) || getenv("OMPI_PARENT_PORT") != NULL;
}

/* Is this a debugger, say, with an embedded Python, and not the job's program? */
static bool is_tool(void)
{
    static const char *const tools[] = {"gdb", "lldb", "perf", "vim", "valgrind"};
    char exe[FI_PATH_MAX];
    size_t n = sys_program(exe, sizeof exe);
    const char *name = path_name(exe, n);

    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        if (strcmp(name, tools[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Is this a launcher, by the name under which it was started? The launchers' daemons on the nodes
 * have other names. */
static bool is_launcher(void)
{
    static const char *const names[] = {"srun",    "aprun",   "mpiexec", "mpirun",
                                        "orterun", "prterun", "prun"};
    const char *name = program_invocation_short_name;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);

        if (strncmp(name, names[i], n) == 0 && (name[n] == '\0' || name[n] == '.')) {
            return true;
        }
    }
    return false;
}

/* Parses ROLE_NODE_VARIABLE (role.h). True: this process is attached; false: it is passive. */
static bool parse_node(const char *text, struct role_facts *facts)
{
    char *colon;

    facts->was_rank = sys_is_pid((pid_t)strtol(text, &colon, 10));
    if (*colon != ':') {
        return *colon == '\0' && facts->was_rank;
    }
    facts->nonce = strtoull(colon + 1, &colon, 16);
    if (*colon != ':') {
        return false;
    }
    facts->fs_view = strtoull(colon + 1, &colon, 16);
    facts->node = colon + 1;
    return *colon == ':' && facts->node[0] == '/';
}

struct role_facts role_decide(void)
{
    struct role_facts facts = {.role = ROLE_PASSIVE, .rank = -1};
    const char *off = getenv("FASTIMPORT");
    const char *node = getenv(ROLE_NODE_VARIABLE);
    bool attached;

    if (getauxval(AT_SECURE) != 0 || (off != NULL && strcmp(off, "0") == 0)) {
        return facts;
    }
    ask_launcher(&facts);
    attached = node != NULL && parse_node(node, &facts);
    /* before the rest, because a launcher inside a Slurm step has a rank itself */
    if (is_launcher()) {
        facts.role = ROLE_LAUNCHER;
        return facts;
    }
    if (node != NULL) {
        facts.role = attached ? ROLE_ATTACHED : ROLE_PASSIVE;
        return facts;
    }
    if (facts.rank < 0) {
        return facts;
    }
    facts.is_python = dlsym(RTLD_DEFAULT, "Py_Initialize") != NULL && !is_tool();
    /* RTLD_NEXT: what this library exports does not count */
    if (facts.is_python || dlsym(RTLD_NEXT, "MPI_Init") != NULL) {
        facts.is_spawned = is_spawned();
        facts.role = facts.is_spawned ? ROLE_PASSIVE : ROLE_RANK;
    }
    return facts;
}

void role_announce(const char *directory, uint64_t nonce, uint64_t fs_view)
{
    char value[512];

    if (directory != NULL) {
        snprintf(value, sizeof value, "%d:%llx:%llx:%s", (int)sys_getpid(),
                 (unsigned long long)nonce, (unsigned long long)fs_view, directory);
    } else {
        snprintf(value, sizeof value, "%d", (int)sys_getpid());
    }
    setenv(ROLE_NODE_VARIABLE, value, 1);
}

void role_isolate(void)
{
    /* process id 0 is nobody's, and the value names no cache: descendants are passive */
    setenv(ROLE_NODE_VARIABLE, "0", 1);
}
