/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_limits.h - the limits under which this process uses memory: of the machine, and of the
 * control groups (cgroups(7)) that it is in, at every level.
 *
 * A batch system puts a job into a group with a limit (Slurm's --mem). The files of a tmpfs count
 * there, and without swap the kernel cannot take them back: at the limit it kills a process of the
 * group. So whoever writes to a tmpfs must know what is left.
 *
 * Version 1 and version 2 of control groups are read (Linux, Documentation/admin-guide:
 * cgroup-v1/memory.rst, cgroup-v2.rst), whichever has the memory controller. What cannot be read
 * sets no limit. Groups above the mount of the container are not visible; version 1 tells the
 * smallest of their limits all the same.
 *
 * Thread rules: any thread, also in signal handlers.
 */
#ifndef FASTIMPORT_POLICY_MEMORY_LIMITS_H
#define FASTIMPORT_POLICY_MEMORY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/path.h"

enum { MEMORY_LIMITS = 64 };

/* Bytes. */
struct memory_limit {
    uint64_t limit;
    uint64_t used; /* without what the kernel can take back, such as the page cache */
};

/* What is to stay free of a limit: one part of so many, as long as that is less than 16 GiB / parts.
 * A large node with much in use has room enough. */
static inline uint64_t memory_limit_spare(uint64_t limit, uint64_t parts)
{
    const uint64_t large = 16ULL << 30;

    return (limit < large ? limit : large) / parts;
}

/* Where this process is in one hierarchy of groups. The directory of its group is `path`; those of
 * the groups above are its parents, down to a length of `top`. */
struct cgroup {
    char path[2 * FI_PATH_MAX];
    size_t top;
    bool is_v2;
};

/* Finds the group of the memory controller. self: the text of /proc/self/cgroup; mountinfo: that of
 * /proc/self/mountinfo. False: this hierarchy is not mounted, or this process's group is outside of
 * the mount. A pure function. */
bool cgroup_find(struct cgroup *group, bool is_v2, const char *self, const char *mountinfo);

/* Reads the limits of a group and of those above it, `room` at most. Returns their number. */
size_t cgroup_limits(const struct cgroup *group, struct memory_limit *out, size_t room);

/* Reads all limits of this process, those of the machine included. Returns their number; 0: nothing
 * is known. */
size_t memory_limits_read(struct memory_limit out[MEMORY_LIMITS]);

/* May the index of the node cache have so many bytes? It has at most a sixteenth of each limit, and
 * leaves an eighth free, at most 2 GiB. (For the mirror, room.h has the rules.) */
bool memory_limits_allow(uint64_t index_size);

#endif
