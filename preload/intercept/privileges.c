/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * privileges.c - setuid(2) and its kin: afterwards this process may be allowed to read other files
 * than before.
 *
 * From then on it serves nothing and tells other processes nothing of what it finds, as after
 * chroot(2) (namespace.c). glibc changes the user of all threads, also of the service thread. A
 * cache that belongs to root is left while it can still be removed. (A change of capabilities alone
 * and raw system calls are not noticed.)
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

/* What the kernel checks when a file is opened. */
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

/* Has this process served anything, or has it a cache to leave? */
static bool concerns_us(void)
{
    return resolve_begun || service_is_here();
}

/* user: the effective user that the program asks for; -1: the present one. */
static void privileges_begin(struct rights *before, uid_t user)
{
    privileges_look(before);
    if (resolve_active) {
        note_reopen_all();
    }
    fs_view_begin_user_change();
    if (before->user == 0 && user != (uid_t)-1 && user != 0) {
        service_leave_cache();
    }
}

static int privileges_end(int result, const struct rights *before)
{
    int error = errno;
    struct rights now;
    bool changed;

    privileges_look(&now);
    changed = privileges_differ(before, &now);
    if (changed) {
        serving_end();
    }
    fs_view_end_user_change(changed);
    errno = error;
    return result;
}

/* A wrapper for a call that changes all threads. Most processes have nothing to serve and pay one
 * test. */
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

/* These return the previous id and change only the calling thread. With an invalid id, such as -1,
 * they change nothing and return the present one. */
#define CHANGE_FILE_RIGHTS(name, type)                                                             \
    FI_EXPORT int name(type id)                                                                    \
    {                                                                                              \
        struct rights before;                                                                      \
        int former;                                                                                \
        bool changed;                                                                              \
        if (!concerns_us()) {                                                                      \
            return real()->name(id);                                                               \
        }                                                                                          \
        privileges_begin(&before, (uid_t)-1);                                                      \
        former = real()->name(id);                                                                 \
        changed = (type)former != id && (type)real()->name((type)-1) == id;                        \
        if (changed) {                                                                             \
            serving_end();                                                                         \
        }                                                                                          \
        fs_view_end_user_change(changed);                                                          \
        return former;                                                                             \
    }

CHANGE_FILE_RIGHTS(setfsuid, uid_t)
CHANGE_FILE_RIGHTS(setfsgid, gid_t)
