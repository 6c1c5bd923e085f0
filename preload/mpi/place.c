/* place.c - see place.h */
#include "mpi/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/boot_id.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/sys.h"

/* The process at the other end of the launcher's socket; 0: unknown, or in another PID namespace.
 */
static pid_t daemon_of_slot(void)
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

/* text: 256 bytes; begins with this boot of the machine. Its length; 0: not known. */
static size_t begin_key(char *text)
{
    return boot_id_read(text);
}

bool node_id(uint64_t *key)
{
    const char *node = getenv("SLURM_NODEID");
    const char *step = getenv("SLURM_STEP_ID");
    pid_t daemon = daemon_of_slot();
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

static bool is_shell(const char *name)
{
    static const char *const shells[] = {"sh",   "bash", "dash",    "ash",  "busybox",
                                         "zsh",  "ksh",  "ksh93",   "mksh", "lksh",
                                         "tcsh", "csh",  "bsd-csh", "fish"};

    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(name, shells[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A script is run under its own name, by a shell of another. */
static bool runs_shell(pid_t pid, const char *name, char *shell, size_t size)
{
    char link[64];
    char exe[FI_PATH_MAX];
    ssize_t n;

    if (!is_shell(name)) {
        snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
        n = sys_readlink(link, exe, sizeof exe - 1);
        if (n <= 0) {
            return false;
        }
        exe[n] = '\0';
        name = path_name(exe, (size_t)n);
    }
    if (!is_shell(name)) {
        return false;
    }
    snprintf(shell, size, "%s", name);
    return true;
}

/* Its name, and its parent: 0: not known. */
static pid_t parent_of(pid_t pid, char *name, size_t size)
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

/* --- which ranks belong to the daemon --- */

bool place_daemon(pid_t *daemon, uint64_t *key)
{
    enum { START_TIME = 22, STATE = 3 }; /* fields of /proc/PID/stat (proc(5)) */
    char text[256] = "";
    char file[64];
    char stat[512] = "";
    size_t n = begin_key(text);
    char *field;

    *daemon = daemon_of_slot();
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

static int number_in(const char *variable)
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
int place_ranks(pid_t daemon, int *rank)
{
    static const char *const variables[][2] = {{"MPI_LOCALNRANKS", "MPI_LOCALRANKID"},
                                               {"PMI_LOCAL_SIZE", "PMI_LOCAL_RANK"},
                                               {"PALS_LOCAL_SIZE", "PALS_LOCAL_RANKID"}};
    char name[64] = "";
    int n = -1;

    parent_of(daemon, name, sizeof name);
    if (strcmp(name, "slurmstepd") == 0) {
        n = number_by_slurm();
        *rank = number_in("SLURM_LOCALID");
    } else {
        for (size_t i = 0; n < 0 && i < sizeof variables / sizeof *variables; i++) {
            n = number_in(variables[i][0]);
            *rank = number_in(variables[i][1]);
        }
    }
    return n > 0 && *rank >= 0 && *rank < n ? n : 0;
}

bool launcher_shell_above(char *shell, size_t size)
{
    pid_t daemon = daemon_of_slot();
    pid_t pid = getppid();
    char name[64];
    bool found = false;

    snprintf(shell, size, "?");
    while (daemon > 0 && pid > 1 && pid != daemon) {
        pid_t parent = parent_of(pid, name, sizeof name);

        found |= parent > 0 && runs_shell(pid, name, shell, size);
        pid = parent;
    }
    return daemon > 0 && (found || pid != daemon);
}
