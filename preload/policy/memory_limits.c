/* SPDX-License-Identifier: BSD-3-Clause */
/* memory_limits.c - see memory_limits.h */
#include "policy/memory_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "policy/mounts.h"

enum { TEXT_MAX = 8192, MOUNTINFO_MAX = 1 << 20 };

/* Version 1 says "no limit" by a number near 2^63. */
static const uint64_t no_limit = 1ULL << 60;

/* --- where the group is --- */

/* Does a list with commas have this word? */
static bool cgroup_has_word(const char *list, size_t length, const char *word)
{
    const char *end = list + length;
    size_t n = strlen(word);

    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma == NULL ? end : comma;

        if ((size_t)(stop - list) == n && memcmp(list, word, n) == 0) {
            return true;
        }
        list = stop + 1;
    }
    return false;
}

/* Finds this process's group in the text of /proc/self/cgroup. Its lines are "4:memory:/path" in
 * version 1 and "0::/path" in version 2. */
static bool cgroup_path(const char *self, bool is_v2, char out[FI_PATH_MAX])
{
    while (*self != '\0') {
        size_t length = strcspn(self, "\n");
        const char *end = self + length;
        const char *words = memchr(self, ':', length);
        const char *path = words == NULL ? NULL : memchr(words + 1, ':', (size_t)(end - words - 1));

        if (path != NULL &&
            (is_v2 ? path == words + 1
                   : cgroup_has_word(words + 1, (size_t)(path - words - 1), "memory")) &&
            end - path <= FI_PATH_MAX) {
            snprintf(out, FI_PATH_MAX, "%.*s", (int)(end - path - 1), path + 1);
            return out[0] == '/';
        }
        self = end + (*end == '\n');
    }
    return false;
}

/* In a cgroup namespace the kernel writes a root above that of the namespace as "/..". The mount
 * point itself is then a group above this process; the groups between are not known. */
static bool is_above_namespace(const char *root)
{
    return strncmp(root, "/..", 3) == 0;
}

/* The part of a group's path that is below the root of the mount; NULL: it is not below it. */
static const char *cgroup_below(const char *path, const char *root)
{
    size_t n = strlen(root);

    if (strncmp(path, "/..", 3) == 0) {
        return NULL;
    }
    if (strcmp(root, "/") == 0) {
        return strcmp(path, "/") == 0 ? "" : path;
    }
    if (is_above_namespace(root)) {
        return "";
    }
    return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0') ? path + n : NULL;
}

bool cgroup_find(struct cgroup *group, bool is_v2, const char *self, const char *mountinfo)
{
    struct mount_entry m;
    char path[FI_PATH_MAX];
    bool found = false;

    if (!cgroup_path(self, is_v2, path)) {
        return false;
    }
    while (mounts_next(&mountinfo, is_v2 ? "cgroup2" : "cgroup", &m)) {
        const char *below = cgroup_below(path, m.root);

        if (below == NULL || (found && is_above_namespace(m.root)) ||
            (!is_v2 && !cgroup_has_word(m.options, strlen(m.options), "memory"))) {
            continue;
        }
        found = true;
        group->is_v2 = is_v2;
        group->top = strlen(m.mount);
        snprintf(group->path, sizeof group->path, "%s%s", m.mount, below);
        if (!is_above_namespace(m.root)) {
            break;
        }
    }
    return found;
}

/* --- what its files say --- */

/* A number at the beginning of a text; "max", or anything else: no limit. */
static uint64_t number_at(const char *text)
{
    uint64_t n = no_limit;

    return text[0] >= '0' && text[0] <= '9' && (n = strtoull(text, NULL, 10)) < no_limit ? n
                                                                                         : no_limit;
}

/* The number behind a key that begins a line; `otherwise` if there is none. */
static uint64_t field_of(const char *text, const char *key, uint64_t otherwise)
{
    size_t n = strlen(key);

    while (text != NULL) {
        if (strncmp(text, key, n) == 0) {
            return number_at(text + n + strspn(text + n, " "));
        }
        text = strchr(text, '\n');
        text += text != NULL;
    }
    return otherwise;
}

/* Reads a file of the group's directory, which is so much of the path. False: it cannot be read. */
static bool read_of_group(const struct cgroup *group, size_t length, const char *name,
                          char text[TEXT_MAX])
{
    char file[sizeof group->path + 64];

    snprintf(file, sizeof file, "%.*s/%s", (int)length, group->path, name);
    return sys_read_file(file, text, TEXT_MAX) > 0;
}

static uint64_t number_of_group(const struct cgroup *group, size_t length, const char *name,
                                uint64_t otherwise, char text[TEXT_MAX])
{
    return read_of_group(group, length, name, text) ? number_at(text) : otherwise;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What a group uses and cannot give back. The pages of files on its two lists can be taken back by
 * the kernel; those of a tmpfs are on other lists. */
static uint64_t cgroup_used(const struct cgroup *group, size_t length, char text[TEXT_MAX])
{
    const char *current = group->is_v2 ? "memory.current" : "memory.usage_in_bytes";
    uint64_t used = number_of_group(group, length, current, 0, text);
    uint64_t files = 0;

    if (read_of_group(group, length, "memory.stat", text)) {
        files = group->is_v2
                    ? field_of(text, "inactive_file ", 0) + field_of(text, "active_file ", 0)
                    : field_of(text, "total_inactive_file ", 0) +
                          field_of(text, "total_active_file ", 0);
    }
    return used - least(used, files);
}

static uint64_t cgroup_limit(const struct cgroup *group, size_t length, char text[TEXT_MAX])
{
    uint64_t limit;

    if (group->is_v2) { /* above memory.high, the kernel slows the group's processes down */
        limit = number_of_group(group, length, "memory.max", no_limit, text);
        return least(limit, number_of_group(group, length, "memory.high", no_limit, text));
    }
    limit = number_of_group(group, length, "memory.limit_in_bytes", no_limit, text);
    if (group->path[length] == '\0' && read_of_group(group, length, "memory.stat", text)) {
        limit = least(limit, field_of(text, "hierarchical_memory_limit ", no_limit));
    }
    return limit;
}

size_t cgroup_limits(const struct cgroup *group, struct memory_limit *out, size_t room)
{
    size_t length = strlen(group->path);
    char text[TEXT_MAX];
    size_t n = 0;

    while (n < room) {
        uint64_t limit = cgroup_limit(group, length, text);

        if (limit < no_limit) {
            out[n++] = (struct memory_limit){limit, cgroup_used(group, length, text)};
        }
        if (length <= group->top) {
            break;
        }
        do {
            length--;
        } while (length > group->top && group->path[length] != '/');
    }
    return n;
}

/* --- all together --- */

/* Too large for a stack, and malloc(3) may not be called in signal handlers. */
struct reading {
    struct cgroup group;
    char self[TEXT_MAX];
    char mountinfo[MOUNTINFO_MAX];
};

static size_t cgroup_limits_read(struct memory_limit *out, size_t room)
{
    struct reading *r =
        sys_mmap(sizeof *r, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t n = 0;

    if (r == NULL) {
        return 0;
    }
    if (sys_read_file("/proc/self/cgroup", r->self, sizeof r->self) > 0 &&
        sys_read_file("/proc/self/mountinfo", r->mountinfo, sizeof r->mountinfo) > 0) {
        for (int is_v2 = 0; is_v2 <= 1; is_v2++) {
            if (cgroup_find(&r->group, is_v2, r->self, r->mountinfo)) {
                n += cgroup_limits(&r->group, out + n, room - n);
            }
        }
    }
    sys_munmap(r, sizeof *r);
    return n;
}

size_t memory_limits_read(struct memory_limit out[MEMORY_LIMITS])
{
    char text[4096];
    uint64_t total = no_limit;
    uint64_t available = no_limit;
    size_t n = 0;

    if (sys_read_file("/proc/meminfo", text, sizeof text) > 0) {
        total = field_of(text, "MemTotal:", no_limit / 1024) * 1024;
        available = field_of(text, "MemAvailable:", no_limit / 1024) * 1024;
    }
    if (total < no_limit && available <= total) {
        out[n++] = (struct memory_limit){total, total - available};
    }
    return n + cgroup_limits_read(out + n, MEMORY_LIMITS - n);
}

bool memory_limits_allow(uint64_t index_size)
{
    struct memory_limit limits[MEMORY_LIMITS];
    size_t n = memory_limits_read(limits);

    for (size_t i = 0; i < n; i++) {
        uint64_t limit = limits[i].limit;

        if (index_size > limit / 16 || limits[i].used > limit - memory_limit_spare(limit, 8)) {
            return false;
        }
    }
    return true;
}
