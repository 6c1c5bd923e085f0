/* SPDX-License-Identifier: BSD-3-Clause */
/* role.c - see role.h */
#include "process/role.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/path.h"
#include "base/sys.h"
#include "process/rank_variables.h"

/* By MPI_Comm_spawn: PMI_SPAWNED of hydra (MPICH, Intel), MVAPICH, ParaStation; OMPI_PARENT_PORT of
 * Open MPI. */
static bool is_spawned(void)
{
    const char *spawned = getenv("PMI_SPAWNED");

    return (spawned != NULL && strtol(spawned, NULL, 10) > 0) || getenv("OMPI_PARENT_PORT") != NULL;
}

/* A debugger with an embedded Python is not the program that was to be started. */
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

/* By the name under which it was started; their daemons on the nodes are none. */
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
    facts->view = strtoull(colon + 1, &colon, 16);
    facts->node = colon + 1;
    return *colon == ':' && facts->node[0] == '/';
}

struct role_facts role_decide(void)
{
    struct role_facts facts = {.role = ROLE_PASSIVE, .rank = -1};
    const char *off = getenv("FASTIMPORT");
    const char *node = getenv(ROLE_NODE_VARIABLE);
    bool known;

    if (getauxval(AT_SECURE) != 0 || (off != NULL && strcmp(off, "0") == 0)) {
        return facts;
    }
    facts.rank = rank_variables_read(&facts.size);
    known = node != NULL && parse_node(node, &facts);
    if (is_launcher()) { /* a Slurm step's, too, which has a rank */
        facts.role = ROLE_LAUNCHER;
        return facts;
    }
    if (node != NULL) {
        facts.role = known ? ROLE_ATTACHED : ROLE_PASSIVE;
        return facts;
    }
    if (facts.rank < 0) {
        return facts;
    }
    facts.is_python = dlsym(RTLD_DEFAULT, "Py_Initialize") != NULL && !is_tool();
    /* fastimport has an MPI_Init of its own: the next one counts */
    if (facts.is_python || dlsym(RTLD_NEXT, "MPI_Init") != NULL) {
        facts.is_spawned = is_spawned();
        facts.role = facts.is_spawned ? ROLE_PASSIVE : ROLE_RANK;
    }
    return facts;
}

void role_isolate(void)
{
    setenv(ROLE_NODE_VARIABLE, "0", 1); /* no process is called so, and it names no cache */
}
