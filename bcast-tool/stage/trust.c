/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"

enum { LINKS_MAX = 40 }; /* the kernel's own limit */

struct walk {
    int at; /* the directory that was reached so far */
    int links;
    struct error *err;
};

static long trust_read_number(const char *file)
{
    char text[64] = "";
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : io_read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    return n > 0 ? strtol(text, NULL, 10) : -1;
}

/* In a user namespace, such as a container's, the owner of / may have no number of its own. */
static bool trust_is_hidden_root(uid_t uid)
{
    unsigned long inside = 1, outside = 1, n = 0;
    FILE *map = fopen("/proc/self/uid_map", "re");
    bool all = map != NULL && fscanf(map, "%lu %lu %lu", &inside, &outside, &n) == 3 &&
               inside == 0 && outside == 0 && n == 4294967295UL;
    if (map != NULL) {
        fclose(map);
    }
    return map != NULL && !all && (long)uid == trust_read_number("/proc/sys/kernel/overflowuid");
}

static bool trust_is_safe_owner(uid_t uid)
{
    return uid == geteuid() || uid == 0;
}

static int trust_refuse_owner(const char *path, uid_t uid, struct error *err)
{
    return error_set(err, path, "it belongs to another user (%u), who could replace what is there",
                     (unsigned)uid);
}

/* For a directory on the way: other users cannot replace names in it. */
static int trust_check_way(const struct stat *st, const char *path, struct error *err)
{
    if (!trust_is_safe_owner(st->st_uid) && !trust_is_hidden_root(st->st_uid)) {
        return trust_refuse_owner(path, st->st_uid, err);
    }
    if ((st->st_mode & 022) && !(st->st_mode & S_ISVTX)) {
        return error_set(err, path,
                         "other users may write to it (mode %03o, not sticky), and could replace "
                         "what is there",
                         (unsigned)st->st_mode & 0777);
    }
    return 0;
}

/* Continues in the directory `fd`, and closes the one before. */
static int trust_enter(struct walk *w, int fd, const char *name)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        error_set_errno(w->err, name, "cannot stat");
        close(fd);
        return -1;
    }
    if (w->at >= 0) {
        close(w->at);
    }
    w->at = fd;
    return trust_check_way(&st, name, w->err);
}

static int trust_follow(struct walk *w, const char *path, const char *shown);

static int trust_follow_link(struct walk *w, const char *name, const char *shown)
{
    char target[PATH_MAX];
    struct stat st;
    int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
        n = readlinkat(fd, "", target, sizeof target - 1);
    } else if (fd >= 0) {
        errno = ENOTDIR;
    }
    if (n < 0) {
        error_set_errno(w->err, shown, "cannot open");
    }
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        return -1;
    }
    target[n] = '\0';
    if (!trust_is_safe_owner(st.st_uid) && !trust_is_hidden_root(st.st_uid)) {
        return trust_refuse_owner(shown, st.st_uid, w->err);
    }
    if (++w->links > LINKS_MAX) {
        errno = ELOOP;
        return error_set_errno(w->err, shown, "cannot open");
    }
    return trust_follow(w, target, shown);
}

/* O_DIRECTORY makes an automounter mount what belongs there. */
static int trust_step(struct walk *w, const char *name, const char *shown)
{
    int fd = openat(w->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        return trust_enter(w, fd, shown);
    }
    if (errno == ENOTDIR || errno == ELOOP) {
        return trust_follow_link(w, name, shown);
    }
    return error_set_errno(w->err, shown, "cannot open");
}

/* `shown` is the path for messages; NULL: the part of `path` that was reached. */
static int trust_follow(struct walk *w, const char *path, const char *shown)
{
    char name[NAME_MAX + 1], reached[PATH_MAX];
    int r = 0;
    if (path[0] == '/') {
        int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = top < 0 ? error_set_errno(w->err, "/", "cannot open") : trust_enter(w, top, "/");
    }
    for (const char *at = path + strspn(path, "/"); r == 0 && *at; at += strspn(at, "/")) {
        size_t n = strcspn(at, "/");
        if (n > NAME_MAX || (size_t)(at - path) + n >= sizeof reached) {
            errno = ENAMETOOLONG;
            return error_set_errno(w->err, shown != NULL ? shown : path, "cannot open");
        }
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        at += n;
        snprintf(reached, sizeof reached, "%.*s", (int)(at - path), path);
        r = trust_step(w, name, shown != NULL ? shown : reached);
    }
    return r;
}

int trust_open(const char *path, struct error *err)
{
    char cwd[PATH_MAX];
    struct walk w = {.at = -1, .err = err};
    int fd = -1;
    if (path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        return error_set_errno(err, path, "cannot find out the current directory");
    }
    if ((path[0] == '/' || trust_follow(&w, cwd, NULL) == 0) && trust_follow(&w, path, NULL) == 0) {
        fd = openat(w.at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            error_set_errno(err, path, "cannot open");
        }
    }
    if (w.at >= 0) {
        close(w.at);
    }
    return fd;
}

static int trust_check_inside(int fd, const char *path, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return error_set_errno(err, path, "cannot stat");
    }
    if (!trust_is_safe_owner(st.st_uid)) {
        return trust_refuse_owner(path, st.st_uid, err);
    }
    if ((st.st_mode & 022) && !S_ISLNK(st.st_mode)) {
        return error_set(err, path,
                         "other users may write to it (mode %03o), and could have changed what is "
                         "there",
                         (unsigned)st.st_mode & 0777);
    }
    return 0;
}

/* A file that does not exist proves nothing. */
static int trust_check_below(int top, const char *dir, const char *name, struct error *err)
{
    int fd = openat(top, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0
                               : error_set_errno(err, dir, "cannot open what `stage` wrote there");
    }
    char *path = io_format("%s/%s", dir, name);
    int r = trust_check_inside(fd, path, err);
    free(path);
    close(fd);
    return r;
}

int trust_tree(int top, const char *dir, struct error *err)
{
    if (trust_check_inside(top, dir, err) < 0 || trust_check_below(top, dir, NAME_OWN, err) < 0) {
        return -1;
    }
    return trust_check_below(top, dir, NAME_STATE, err) < 0 ||
                   trust_check_below(top, dir, NAME_MANIFEST, err) < 0
               ? -1
               : 0;
}

int trust_open_tree(const char *dir, struct error *err)
{
    int top = trust_open(dir, err);
    if (top >= 0 && trust_tree(top, dir, err) < 0) {
        close(top);
        return -1;
    }
    return top;
}
