/* SPDX-License-Identifier: BSD-3-Clause */
/* check_room.c - is there room for the node cache, and a place for the plan? See check.h */
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/trust.h"
#include "command/check.h"
#include "plan/plan.h"

/* What a start with numpy, scipy and the like needs; torch with CUDA needs 3 GiB. */
static const uint64_t enough = 512ULL << 20;

/* --- memory --- */

/* The number in a file such as /sys/fs/cgroup/memory.max; none: so large that it does not matter. */
static uint64_t read_number(const char *file, const char *key)
{
    char text[8192];
    const char *at = text;
    ssize_t n = sys_read_file(file, text, sizeof text);
    uint64_t value;

    if (n > 0 && key != NULL) {
        at = strstr(text, key);
        at = at == NULL ? "" : at + strlen(key);
    }
    return n > 0 && sscanf(at, "%" SCNu64, &value) == 1 ? value : UINT64_MAX;
}

/* The least of the limits of this process's cgroup (version 2) and those above it, less what is in
 * use there. */
static uint64_t room_of_cgroup(void)
{
    char text[FI_PATH_MAX];
    char file[FI_PATH_MAX + 64];
    uint64_t least = UINT64_MAX;
    char *path;
    size_t n;

    if (sys_read_file("/proc/self/cgroup", text, sizeof text) <= 0 ||
        (path = strstr(text, "0::/")) == NULL) {
        return least;
    }
    path += 3;
    path[strcspn(path, "\n")] = '\0';
    for (n = strlen(path); n > 0; n = path_parent_length(path, n)) {
        uint64_t limit;
        uint64_t used;

        path[n] = '\0';
        snprintf(file, sizeof file, "/sys/fs/cgroup%s/memory.max", path);
        limit = read_number(file, NULL);
        snprintf(file, sizeof file, "/sys/fs/cgroup%s/memory.current", path);
        used = read_number(file, NULL);
        if (limit != UINT64_MAX && used != UINT64_MAX &&
            limit - (used < limit ? used : limit) < least) {
            least = limit - (used < limit ? used : limit);
        }
    }
    return least;
}

static double in_gib(uint64_t bytes)
{
    return (double)bytes / (double)(1ULL << 30);
}

static void check_memory(struct check *c, const struct statvfs *place)
{
    uint64_t free_there = (uint64_t)place->f_bavail * place->f_frsize;
    uint64_t available = read_number("/proc/meminfo", "MemAvailable:");
    uint64_t cgroup = room_of_cgroup();
    const char *what = c->config.dir;
    uint64_t least = free_there;

    if (available != UINT64_MAX && available * 1024 < least) {
        least = available * 1024;
        what = "this node's memory";
    }
    if (cgroup < least) {
        least = cgroup;
        what = "the memory limit of this job (cgroup)";
    }
    if (least < enough) {
        check_say(c, FINDING_WRONG, "memory",
                  "%s has room for %.2f GiB only: ask the batch system for more (--mem), or let "
                  "fastimport serve less (FASTIMPORT_MAX_FILE, FASTIMPORT_EXCLUDE)",
                  what, in_gib(least));
    } else {
        check_say(c, FINDING_OK, "memory", "%.1f GiB; the least has %s", in_gib(least), what);
    }
}

/* --- the node cache --- */

void check_cache(struct check *c)
{
    const char *dir = c->config.dir;
    char real[FI_PATH_MAX];
    struct statvfs place;
    struct statfs kind;
    int error = sys_canonical(dir, real, sizeof real);

    if (error != 0 || statvfs(real, &place) != 0 || statfs(real, &kind) != 0) {
        check_say(c, FINDING_WRONG, "cache", "%s: %s: set FASTIMPORT_DIR to a directory in memory",
                  dir, error != 0 ? strerror(-error) : strerror(errno));
        return;
    }
    if (access(real, W_OK | X_OK) != 0) {
        check_say(c, FINDING_WRONG, "cache",
                  "%s cannot be written to: set FASTIMPORT_DIR to a directory in memory", dir);
    } else if (trust_way(real, strlen(real)) != 0) {
        check_say(
            c, FINDING_WRONG, "cache",
            "other users can replace what is in %s: set FASTIMPORT_DIR to a directory that is "
            "yours, or is sticky as /tmp",
            dir);
    } else if (kind.f_type != TMPFS_MAGIC && kind.f_type != RAMFS_MAGIC) {
        check_say(c, FINDING_WRONG, "cache",
                  "%s is not in memory: set FASTIMPORT_DIR to a tmpfs, such as /dev/shm", dir);
    } else if ((place.f_flag & ST_NOEXEC) != 0) {
        check_say(
            c, FINDING_NOTE, "cache",
            "%s is mounted noexec, so libraries come from the file system: set FASTIMPORT_DIR "
            "to another tmpfs",
            dir);
    } else {
        check_say(c, FINDING_OK, "cache", "%s is in memory, and can be written to", dir);
    }
    check_memory(c, &place);
}

/* --- the plan --- */

/* The nearest directory above a name that does not exist. */
static void find_existing(char *path)
{
    struct stat st;
    size_t n = strlen(path);

    while (n > 1 && sys_stat(path, &st) != 0) {
        n = path_parent_length(path, n);
        path[n] = '\0';
    }
}

void check_plan(struct check *c)
{
    const char *setting = c->config.plan;
    char path[FI_PATH_MAX];
    char *slash;

    if (setting != NULL && strcmp(setting, "off") == 0) {
        check_say(c, FINDING_NOTE, "plan", "FASTIMPORT_PLAN=off: every start is a cold one");
        return;
    }
    if (setting == NULL && !plan_directory(path, sizeof path)) {
        check_say(c, FINDING_WRONG, "plan", "HOME is not set: set FASTIMPORT_PLAN to a file");
        return;
    }
    if (setting != NULL) {
        setting += strncmp(setting, "record:", 7) == 0 ? 7 : 0;
        if (strncmp(setting, "use:", 4) == 0) {
            bool readable = access(setting + 4, R_OK) == 0;

            check_say(c, readable ? FINDING_OK : FINDING_WRONG, "plan", "%s: %s", setting + 4,
                      readable ? "it is read, and not written"
                               : "it cannot be read: FASTIMPORT_PLAN=use: needs a plan that was "
                                 "recorded (record:FILE)");
            return;
        }
        snprintf(path, sizeof path, "%s", setting);
        slash = strrchr(path, '/');
        snprintf(slash == NULL ? path : slash + (slash == path), 2, "%s", slash == NULL ? "." : "");
    }
    find_existing(path);
    if (access(path, W_OK | X_OK) != 0) {
        check_say(c, FINDING_WRONG, "plan",
                  "%s cannot be written to, so every start is a cold one: set FASTIMPORT_PLAN to a "
                  "file elsewhere, or to off",
                  path);
    } else {
        check_say(c, FINDING_OK, "plan", "can be written in %s", path);
    }
}
