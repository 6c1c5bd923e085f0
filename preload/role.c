/* role.c - see role.h */
#include "role.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/path.h"
#include "base/sys.h"

/* Set by hydra, Slurm's PMI-2, PMIx, Open MPI, Intel, MVAPICH, Cray's PALS and ALPS. */
static const char *const rank_variables[] = {
    "PMI_RANK",    "PMI_ID",      "PMIX_RANK",   "OMPI_COMM_WORLD_RANK",
    "MPIRUN_RANK", "PALS_RANKID", "ALPS_APP_PE", "SLURM_PROCID"};

/* A batch script of Slurm has SLURM_PROCID=0, too; but no step, for srun has not yet started one.
 */
static bool is_in_force(const char *variable)
{
    return strcmp(variable, "SLURM_PROCID") != 0 || getenv("SLURM_STEP_ID") != NULL;
}

static int launcher_rank(void)
{
    for (size_t i = 0; i < sizeof rank_variables / sizeof *rank_variables; i++) {
        const char *text = getenv(rank_variables[i]);

        if (text != NULL && is_in_force(rank_variables[i]) && text[0] >= '0' && text[0] <= '9') {
            return (int)strtol(text, NULL, 10);
        }
    }
    return -1;
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
    static const char *const names[] = {"srun", "aprun", "mpiexec", "mpirun"};
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
    struct role_facts facts = {.role = ROLE_PASSIVE, .rank = launcher_rank()};
    const char *off = getenv("FASTIMPORT");
    const char *node = getenv(ROLE_NODE_VARIABLE);
    bool known;

    if (getauxval(AT_SECURE) != 0 || (off != NULL && strcmp(off, "0") == 0)) {
        return facts;
    }
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
        facts.role = ROLE_RANK;
    }
    return facts;
}

void role_isolate(void)
{
    setenv(ROLE_NODE_VARIABLE, "0", 1); /* no process is called so, and it names no cache */
}
