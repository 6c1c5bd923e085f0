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
#include "process/rank_variables.h"

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
    static const char *const names[] = {"srun",    "aprun", "mpiexec", "mpirun", "orterun",
                                        "prterun", "prun",  "jsrun",   "flux"};
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

/* su(1) and sudo(8) hand FASTIMPORT_* on, but not LD_PRELOAD. Whom /etc/ld.so.preload has brought
 * into a process may have these variables from another user, and FASTIMPORT_MPI names code. */
static bool is_preloaded_by_environment(void)
{
    const char *list = getenv("LD_PRELOAD");

    return list != NULL && list[0] != '\0';
}

struct role_facts role_decide(void)
{
    struct role_facts facts = {.role = ROLE_PASSIVE, .rank = -1};
    const char *off = getenv("FASTIMPORT");
    const char *node = getenv(ROLE_NODE_VARIABLE);
    bool attached;

    if (getauxval(AT_SECURE) != 0 || !is_preloaded_by_environment() ||
        (off != NULL && strcmp(off, "0") == 0)) {
        return facts;
    }
    facts.rank = rank_variables_read(&facts.size);
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
    facts.is_python = dlsym(RTLD_DEFAULT, "Py_Initialize") != NULL && !is_tool();
    if (facts.rank < 0) {
        facts.is_alone = facts.is_python;
        return facts;
    }
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
