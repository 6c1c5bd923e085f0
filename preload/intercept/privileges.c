/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * privileges.c - setuid(2) and its kin: afterwards other files may be read than those that this
 * process has found. It then answers nothing any more, nor tells others what it finds, as after
 * chroot(2) (view.c); glibc changes all threads of a process, the service's, too. And root's cache
 * is given up while it can still be removed. (Capabilities alone, and raw system calls, are not
 * seen.)
 */
#include "intercept/real.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/fsuid.h>

#include "base/fs_view.h"
#include "invalidate/note.h"
#include "resolve.h"
#include "service/service.h"

enum { GROUPS = 64 };

/* What the kernel looks at when a file is opened. */
struct rights {
    uid_t user;
    gid_t group;
    int n_groups;
    gid_t groups[GROUPS];
};

static void privileges_look(struct rights *rights)
{
    memset(rights, 0, sizeof *rights);
    rights->user = geteuid();
    rights->group = getegid();
    rights->n_groups = getgroups(GROUPS, rights->groups);
}

static bool privileges_differ(const struct rights *a, const struct rights *b)
{
    return a->user != b->user || a->group != b->group || a->n_groups != b->n_groups ||
           a->n_groups < 0 || memcmp(a->groups, b->groups, sizeof a->groups) != 0;
}

/* Something was answered, or there is a cache that would be left. */
static bool concerns_us(void)
{
    return resolve_begun || service_is_here();
}

/* user: the effective one that is asked for. -1: the present one. */
static void privileges_begin(struct rights *before, uid_t user)
{
    privileges_look(before);
    if (resolve_active) {
        note_reopen_all();
    }
    view_begin_user_change();
    if (before->user == 0 && user != (uid_t)-1 && user != 0) {
        service_leave_cache();
    }
}

static int privileges_end(int result, const struct rights *before)
{
    int error = errno;
    struct rights now;
    bool is_other;

    privileges_look(&now);
    is_other = privileges_differ(before, &now);
    if (is_other) {
        serving_end();
    }
    view_end_user_change(is_other);
    errno = error;
    return result;
}

/* Most processes have nothing that could be answered wrongly. */
#define CHANGE(name, parameters, arguments, user)                                                  \
    FI_EXPORT int name parameters                                                                  \
    {                                                                                              \
        struct rights before;                                                                      \
        int result;                                                                                \
        if (!concerns_us()) {                                                                      \
            return real()->name arguments;                                                         \
        }                                                                                          \
        privileges_begin(&before, user);                                                           \
        result = real()->name arguments;                                                           \
        return privileges_end(result, &before);                                                    \
    }

CHANGE(setuid, (uid_t id), (id), id)
CHANGE(seteuid, (uid_t id), (id), id)
CHANGE(setreuid, (uid_t id, uid_t effective), (id, effective), effective)
CHANGE(setresuid, (uid_t id, uid_t effective, uid_t saved), (id, effective, saved), effective)
CHANGE(setgid, (gid_t id), (id), (uid_t)-1)
CHANGE(setegid, (gid_t id), (id), (uid_t)-1)
CHANGE(setregid, (gid_t id, gid_t effective), (id, effective), (uid_t)-1)
CHANGE(setresgid, (gid_t id, gid_t effective, gid_t saved), (id, effective, saved), (uid_t)-1)
CHANGE(setgroups, (size_t n, const gid_t *groups), (n, groups), (uid_t)-1)
CHANGE(initgroups, (const char *user, gid_t group), (user, group), (uid_t)-1)

/* These give the former one, and change one thread. The present one is given to those that ask for
 * one that there cannot be. */
#define CHANGE_FILE_RIGHTS(name, type)                                                             \
    FI_EXPORT int name(type id)                                                                    \
    {                                                                                              \
        struct rights before;                                                                      \
        int former;                                                                                \
        bool is_other;                                                                             \
        if (!concerns_us()) {                                                                      \
            return real()->name(id);                                                               \
        }                                                                                          \
        privileges_begin(&before, (uid_t)-1);                                                      \
        former = real()->name(id);                                                                 \
        is_other = (type)former != id && (type)real()->name((type)-1) == id;                       \
        if (is_other) {                                                                            \
            serving_end();                                                                         \
        }                                                                                          \
        view_end_user_change(is_other);                                                            \
        return former;                                                                             \
    }

CHANGE_FILE_RIGHTS(setfsuid, uid_t)
CHANGE_FILE_RIGHTS(setfsgid, gid_t)
