/* SPDX-License-Identifier: BSD-3-Clause */
/* node_id.c - see node_id.h */
#include "mpi/node_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/boot_id.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/sys.h"

pid_t process_parent(pid_t pid, char *name, size_t size)
{
    char file[64];
    char text[512] = "";
    char *begin, *end;

    snprintf(file, sizeof file, "/proc/%d/stat", (int)pid);
    if (sys_read_file(file, text, sizeof text) <= 0 || (begin = strchr(text, '(')) == NULL ||
        (end = strrchr(text, ')')) == NULL || strlen(end) < strlen(") S 1")) {
        return 0;
    }
    snprintf(name, size, "%.*s", (int)(end - begin - 1), begin + 1);
    return (pid_t)strtol(end + strlen(") S "), NULL, 10);
}

const char *launcher_pmix_server(void)
{
    static const char *const names[] = {"PMIX_SERVER_URI41", "PMIX_SERVER_URI4", "PMIX_SERVER_URI3",
                                        "PMIX_SERVER_URI21", "PMIX_SERVER_URI2"};
    const char *uri = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names && uri == NULL; i++) {
        uri = getenv(names[i]);
    }
    return uri;
}

/* --- the daemon --- */

/* With PMI-1: the process at the other end of the descriptor. */
static pid_t daemon_of_pmi(void)
{
    const char *text = getenv("PMI_FD");
    struct ucred peer = {0};
    socklen_t size = sizeof peer;

    if (text == NULL ||
        getsockopt((int)strtol(text, NULL, 10), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return 0;
    }
    return peer.pid;
}

/* Did a process start with PMIX_RANK in its environment? One that cannot be read is not ours. */
static bool is_in_slot(pid_t pid)
{
    enum { MOST = 1 << 18 };
    static const char variable[] = "\0PMIX_RANK=";
    char file[64];
    char *text = malloc(MOST);
    ssize_t n = -1;
    bool found;

    snprintf(file, sizeof file, "/proc/%d/environ", (int)pid);
    if (text != NULL) {
        text[0] = '\0';
        n = sys_read_file(file, text + 1, MOST - 1);
    }
    found = n > 0 && memmem(text, (size_t)n + 1, variable, sizeof variable - 1) != NULL;
    free(text);
    return found;
}

/* With PMIx: the nearest process above this one that was not started in a slot itself. */
static pid_t daemon_of_pmix(void)
{
    pid_t pid = launcher_pmix_server() == NULL ? 0 : getppid();
    char name[64];

    while (pid > 1 && is_in_slot(pid)) {
        pid = process_parent(pid, name, sizeof name);
    }
    return pid > 1 ? pid : 0;
}

pid_t launcher_daemon(void)
{
    pid_t daemon = daemon_of_pmi();

    return daemon > 0 ? daemon : daemon_of_pmix();
}

bool node_id(uint64_t *key)
{
    const char *node = getenv("SLURM_NODEID");
    const char *step = getenv("SLURM_STEP_ID");
    pid_t daemon = launcher_daemon();
    char text[256] = "";
    size_t n = boot_id_read(text);

    if (n == 0) {
        return false;
    }
    if (daemon > 0) {
        snprintf(text + n, sizeof text - n, " daemon %d", (int)daemon);
    } else if (node != NULL && step != NULL) {
        snprintf(text + n, sizeof text - n, " slurm %.32s %.32s", step, node);
    } else {
        return false;
    }
    *key = fi_hash(text, strlen(text), 0);
    return true;
}

/* --- which ranks the daemon has started --- */

/* When a process was started, in clock ticks since the machine was (proc(5), /proc/PID/stat); -1:
 * not known. */
static long long start_ticks(pid_t pid)
{
    enum { STATE = 3, START_TIME = 22 }; /* fields */
    char file[64];
    char stat[512] = "";
    char *field;

    snprintf(file, sizeof file, "/proc/%d/stat", (int)pid);
    if (pid <= 0 || sys_read_file(file, stat, sizeof stat) <= 0) {
        return -1;
    }
    field = strrchr(stat, ')');
    for (int i = STATE; i <= START_TIME && field != NULL; i++) {
        field = strchr(field + 1, ' ');
    }
    return field == NULL ? -1 : strtoll(field, NULL, 10);
}

bool launcher_daemon_id(pid_t *daemon, uint64_t *key)
{
    char text[256] = "";
    size_t n = boot_id_read(text);
    long long started;

    *daemon = launcher_daemon();
    started = start_ticks(*daemon);
    if (n == 0 || started < 0) {
        return false;
    }
    snprintf(text + n, sizeof text - n, " ranks of %d since %lld", (int)*daemon, started);
    *key = fi_hash(text, strlen(text), 0);
    return true;
}

int64_t launcher_started(void)
{
    long long ticks = start_ticks(launcher_daemon());
    long long per_second = sysconf(_SC_CLK_TCK);
    struct timespec since_boot;

    if (ticks < 0 || per_second <= 0 || clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) {
        return 0;
    }
    return time(NULL) - since_boot.tv_sec + ticks / per_second;
}

static int node_id_number_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    long n = text == NULL ? -1 : strtol(text, &end, 10);

    return n >= 0 && n < 1 << 20 && end != text ? (int)n : -1;
}

/* list: "2(x3),1" is two tasks on each of three nodes, and one on the last. Returns the number of
 * tasks on a node, counted from 0; 0: not known. */
static int slurm_tasks_on_node(const char *list, long node)
{
    char *at = (char *)list;

    for (; node >= 0 && *at != '\0'; at += *at == ',') {
        long tasks = strtol(at, &at, 10);
        long nodes = strncmp(at, "(x", 2) == 0 ? strtol(at + 2, &at, 10) : 1;

        at += *at == ')';
        if (tasks <= 0 || nodes <= 0 || (*at != ',' && *at != '\0')) {
            return 0;
        }
        node -= nodes;
        if (node < 0) {
            return (int)tasks;
        }
    }
    return 0;
}

static int slurm_local_size(void)
{
    const char *list = getenv("SLURM_STEP_TASKS_PER_NODE");
    const char *node = getenv("SLURM_NODEID");

    return list == NULL || node == NULL ? 0 : slurm_tasks_on_node(list, strtol(node, NULL, 10));
}

/* The daemon's parent tells which launcher it is: hydra's daemons may run in a step of Slurm, whose
 * variables are set then, too. */
int launcher_local_ranks(pid_t daemon, int *rank)
{
    static const char *const variables[][2] = {
        {"MPI_LOCALNRANKS", "MPI_LOCALRANKID"},
        {"PMI_LOCAL_SIZE", "PMI_LOCAL_RANK"},
        {"PALS_LOCAL_SIZE", "PALS_LOCAL_RANKID"},
        {"JSM_NAMESPACE_LOCAL_SIZE", "JSM_NAMESPACE_LOCAL_RANK"},
        {"OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"}};
    char name[64] = "";
    int n = -1;

    process_parent(daemon, name, sizeof name);
    if (strcmp(name, "slurmstepd") == 0) {
        n = slurm_local_size();
        *rank = node_id_number_in("SLURM_LOCALID");
    } else {
        for (size_t i = 0; n < 0 && i < sizeof variables / sizeof *variables; i++) {
            n = node_id_number_in(variables[i][0]);
            *rank = node_id_number_in(variables[i][1]);
        }
    }
    return n > 0 && *rank >= 0 && *rank < n ? n : 0;
}
