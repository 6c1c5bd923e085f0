/* SPDX-License-Identifier: BSD-3-Clause */
/* launcher_shell.c - see launcher_shell.h */
#include "mpi/launcher_shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"
#include "mpi/node_id.h"

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

/* A shell that runs a script has the script's name: its executable tells. */
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

bool launcher_shell_above(char *shell, size_t size)
{
    pid_t daemon = launcher_daemon();
    pid_t pid = getppid();
    char name[64];
    bool found = false;

    snprintf(shell, size, "?");
    while (daemon > 0 && pid > 1 && pid != daemon) {
        pid_t parent = process_parent(pid, name, sizeof name);

        found |= parent > 0 && runs_shell(pid, name, shell, size);
        pid = parent;
    }
    return daemon > 0 && (found || pid != daemon);
}
