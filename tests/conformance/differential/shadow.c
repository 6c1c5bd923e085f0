/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/conformance/differential/sequence.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHADOW_FD 600 /* descriptors from here on; below are those under test */

static int raw_open(int dirfd, const char *path, int flags)
{
    int fd = (int)syscall(SYS_openat, dirfd, path, flags | O_PATH | O_CLOEXEC);
    if (fd < 0 || fd >= SHADOW_FD) {
        return fd;
    }
    int high = fcntl(fd, F_DUPFD_CLOEXEC, SHADOW_FD);
    syscall(SYS_close, fd);
    return high;
}

static bool usable(const char *path)
{
    return path && path != BAD_PATH;
}

void shadow_close(struct sequence *s, int slot)
{
    if (s->shadows[slot] >= 0) {
        syscall(SYS_close, s->shadows[slot]);
    }
    s->shadows[slot] = -1;
}

void shadow_start(struct sequence *s)
{
    for (int i = 0; i < SLOTS; i++) {
        s->shadows[i] = -1;
    }
    s->shadows[CWD_SLOT] = raw_open(AT_FDCWD, s->plan.root, O_DIRECTORY);
    if (s->shadows[CWD_SLOT] < 0) {
        abort();
    }
}

void shadow_end(struct sequence *s)
{
    for (int i = 0; i <= SLOTS; i++) {
        shadow_close(s, i);
    }
}

void shadow_open(struct sequence *s, int to, int from, const char *path, bool nofollow)
{
    int fd = -1;
    if (usable(path) && (path[0] == '/' || from >= 0)) {
        fd = raw_open(from < 0 ? -1 : s->shadows[from], path, nofollow ? O_NOFOLLOW : 0);
    }
    shadow_close(s, to);
    s->shadows[to] = fd;
}

void shadow_copy(struct sequence *s, int to, int from)
{
    if (to == from) {
        return;
    }
    shadow_close(s, to);
    if (s->shadows[from] >= 0) {
        s->shadows[to] = fcntl(s->shadows[from], F_DUPFD_CLOEXEC, SHADOW_FD);
    }
}

static bool on_ground(const struct sequence *s, int fd)
{
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlink, link, name, sizeof name - 1);
    size_t ground = strlen(s->plan.ground);
    if (n < (long)ground) {
        return false;
    }
    name[n] = '\0';
    return strncmp(name, s->plan.ground, ground) == 0 && (name[ground] == '/' || !name[ground]);
}

bool shadow_permits_slot(const struct sequence *s, int slot)
{
    return slot < 0 || s->shadows[slot] < 0 || on_ground(s, s->shadows[slot]);
}

static bool permits(const struct sequence *s, int dirfd, const char *path, int flags)
{
    int fd = raw_open(dirfd, path, flags);
    if (fd < 0) {
        return true;
    }
    bool ok = on_ground(s, fd);
    syscall(SYS_close, fd);
    return ok;
}

/* "a/b//" -> "a/", "b" -> ".", "/b" -> "/" */
static void shadow_parent_of(const char *path, char *buf, size_t size)
{
    size_t n = strlen(path);
    while (n && path[n - 1] == '/') {
        n--;
    }
    while (n && path[n - 1] != '/') {
        n--;
    }
    if (n >= size) {
        n = 0;
    }
    snprintf(buf, size, "%.*s", n ? (int)n : 1, n ? path : ".");
}

/* Whether what a write would create at the end of a chain of symbolic links, `path` being its first
 * name, lies on the ground: no open can tell, for there is nothing yet. */
static bool permits_end(const struct sequence *s, int dirfd, const char *path)
{
    static char parent[8192], text[2][4096];
    int at = dirfd, link;
    bool ok = true;
    for (int i = 0; ok && i < 40 && (link = raw_open(at, path, O_NOFOLLOW)) >= 0; i++) {
        long n = syscall(SYS_readlinkat, link, "", text[i % 2], sizeof text[0] - 1);
        syscall(SYS_close, link);
        if (n < 0) { /* no link, so it is there: an open tells */
            break;
        }
        text[i % 2][n] = '\0';
        shadow_parent_of(path, parent, sizeof parent);
        int next = raw_open(at, parent, O_DIRECTORY);
        if (at != dirfd) {
            syscall(SYS_close, at);
        }
        at = next;
        path = text[i % 2];
        shadow_parent_of(path, parent, sizeof parent);
        ok = permits(s, at, parent, O_DIRECTORY);
    }
    if (at != dirfd) {
        syscall(SYS_close, at);
    }
    return ok;
}

bool shadow_permits(const struct sequence *s, int from, const char *path)
{
    static char parent[8192];
    if (!usable(path)) {
        return true;
    }
    if (!path[0]) {
        return shadow_permits_slot(s, from);
    }
    if (path[0] != '/' && from < 0) {
        return true; /* relative to no directory */
    }
    int dirfd = from < 0 ? -1 : s->shadows[from];
    shadow_parent_of(path, parent, sizeof parent);
    return permits(s, dirfd, parent, O_DIRECTORY) && permits(s, dirfd, path, 0) &&
           permits(s, dirfd, path, O_NOFOLLOW) && permits_end(s, dirfd, path);
}
