/* SPDX-License-Identifier: BSD-3-Clause */
/* node_id.c - see node_id.h */
#include "mpi/node_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/path.h"
#include "base/sys.h"

pid_t launcher_daemon(void)
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

/* text: 256 bytes; begins with this boot of the machine. Its length; 0: not known. */
static size_t begin_key(char *text)
{
    ssize_t n = sys_read_file("/proc/sys/kernel/random/boot_id", text, 64);

    return n <= 0 ? 0 : (size_t)n;
}

bool node_id(uint64_t *key)
{
    const char *node = getenv("SLURM_NODEID");
    const char *step = getenv("SLURM_STEP_ID");
    pid_t daemon = launcher_daemon();
    char text[256] = "";
    size_t n = begin_key(text);

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

/* --- which ranks belong to the daemon --- */

bool launcher_daemon_id(pid_t *daemon, uint64_t *key)
{
    enum { START_TIME = 22, STATE = 3 }; /* fields of /proc/PID/stat (proc(5)) */
    char text[256] = "";
    char file[64];
    char stat[512] = "";
    size_t n = begin_key(text);
    char *field;

    *daemon = launcher_daemon();
    snprintf(file, sizeof file, "/proc/%d/stat", (int)*daemon);
    if (*daemon <= 0 || n == 0 || sys_read_file(file, stat, sizeof stat) <= 0 ||
        (field = strrchr(stat, ')')) == NULL) {
        return false;
    }
    for (int i = STATE; i <= START_TIME && field != NULL; i++) {
        field = strchr(field + 1, ' ');
    }
    if (field == NULL) {
        return false;
    }
    snprintf(text + n, sizeof text - n, " ranks of %d since %lld", (int)*daemon,
             strtoll(field, NULL, 10));
    *key = fi_hash(text, strlen(text), 0);
    return true;
}

static int node_id_number_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    long n = text == NULL ? -1 : strtol(text, &end, 10);

    return n >= 0 && n < 1 << 20 && end != text ? (int)n : -1;
}

/* list: "2(x3),1": two tasks on each of three nodes, one on the last. */
static int number_of_node(const char *list, long node)
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

static int number_by_slurm(void)
{
    const char *list = getenv("SLURM_STEP_TASKS_PER_NODE");
    const char *node = getenv("SLURM_NODEID");

    return list == NULL || node == NULL ? 0 : number_of_node(list, strtol(node, NULL, 10));
}

/* hydra's daemons may run in a step of Slurm, which has the other variables, too. */
int launcher_local_ranks(pid_t daemon, int *rank)
{
    static const char *const variables[][2] = {{"MPI_LOCALNRANKS", "MPI_LOCALRANKID"},
                                               {"PMI_LOCAL_SIZE", "PMI_LOCAL_RANK"},
                                               {"PALS_LOCAL_SIZE", "PALS_LOCAL_RANKID"}};
    char name[64] = "";
    int n = -1;

    process_parent(daemon, name, sizeof name);
    if (strcmp(name, "slurmstepd") == 0) {
        n = number_by_slurm();
        *rank = node_id_number_in("SLURM_LOCALID");
    } else {
        for (size_t i = 0; n < 0 && i < sizeof variables / sizeof *variables; i++) {
            n = node_id_number_in(variables[i][0]);
            *rank = node_id_number_in(variables[i][1]);
        }
    }
    return n > 0 && *rank >= 0 && *rank < n ? n : 0;
}
