/* place.c - see place.h */
#include "mpi/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

bool place_key(uint64_t *key)
{
    const char *node = getenv("SLURM_NODEID");
    const char *step = getenv("SLURM_STEP_ID");
    pid_t daemon = daemon_of_slot();
    char text[256] = "";
    size_t n;

    if (sys_read_file("/proc/sys/kernel/random/boot_id", text, 64) <= 0) {
        return false;
    }
    n = strlen(text);
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

bool place_below_shell(char *shell, size_t size)
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
