/* SPDX-License-Identifier: BSD-3-Clause */
/* trust.c - see trust.h */
#include "base/trust.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"

/* In a user namespace, in a container say, the owner of / may have no number of his own; where all
 * users have theirs, this number is just somebody's. */
static bool is_hidden_root(uid_t user)
{
    char text[128];
    unsigned long inside = 1, outside = 1, n = 0;

    if (sys_read_file("/proc/sys/kernel/overflowuid", text, sizeof text) <= 0 ||
        strtoul(text, NULL, 10) != user ||
        sys_read_file("/proc/self/uid_map", text, sizeof text) <= 0) {
        return false;
    }
    return sscanf(text, "%lu %lu %lu", &inside, &outside, &n) != 3 || inside != 0 || outside != 0 ||
           n != UINT32_MAX;
}

/* In a sticky directory nobody can rename or remove what is another's. */
static int check(const char *directory)
{
    struct stat st;
    int error = sys_lstat(directory, &st);

    if (error != 0) {
        return error;
    }
    if (!S_ISDIR(st.st_mode) || ((st.st_mode & 0022) != 0 && (st.st_mode & S_ISVTX) == 0)) {
        return -EPERM;
    }
    return st.st_uid == 0 || st.st_uid == geteuid() || is_hidden_root(st.st_uid) ? 0 : -EPERM;
}

int trust_way(const char *path, size_t n)
{
    char name[FI_PATH_MAX];
    int error = path[0] == '/' ? check("/") : -EPERM;

    if (n >= sizeof name) {
        return -ENAMETOOLONG;
    }
    for (size_t i = 1; i <= n && error == 0; i++) {
        if ((i == n || path[i] == '/') && path[i - 1] != '/') {
            memcpy(name, path, i);
            name[i] = '\0';
            error = check(name);
        }
    }
    return error;
}
