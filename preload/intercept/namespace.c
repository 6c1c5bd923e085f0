/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * namespace.c - chroot(2), unshare(2), setns(2): afterwards the paths of served files may refer to
 * other files.
 *
 * From then on this process serves nothing and tells other processes nothing of what it finds.
 * Descriptors stay what they were. (pivot_root(2) and the flags of clone(2) have no wrapper in libc
 * that could be intercepted.)
 */
#include "intercept/real.h"

#include <errno.h>
#include <sched.h>

#include "base/fs_view.h"
#include "base/guard.h"
#include "invalidate/note.h"
#include "resolve.h"

/* Replaces descriptors of mirror files by those of the originals, since afterwards nobody could
 * tell what such a descriptor stands for. */
static uint64_t namespace_begin(void)
{
    if (resolve_active) {
        note_reopen_all();
    }
    fs_view_begin_change();
    return fs_view_identity();
}

/* A single thread may have changed its namespace: then nothing is served to any thread. */
static int namespace_end(int result, uint64_t before)
{
    int error = errno;
    bool changed = result == 0 && (before == 0 || fs_view_identity() != before);

    if (changed) {
        serving_end();
    }
    fs_view_end_change(changed);
    errno = error;
    return result;
}

FI_EXPORT int chroot(const char *path)
{
    uint64_t before = namespace_begin();

    return namespace_end(real()->chroot(path), before);
}

FI_EXPORT int unshare(int flags)
{
    uint64_t before;

    if ((flags & CLONE_NEWNS) == 0) {
        return real()->unshare(flags);
    }
    before = namespace_begin();
    return namespace_end(real()->unshare(flags), before);
}

/* type 0 accepts a descriptor of any namespace. */
FI_EXPORT int setns(int fd, int type)
{
    uint64_t before;

    if (type != 0 && (type & CLONE_NEWNS) == 0) {
        return real()->setns(fd, type);
    }
    before = namespace_begin();
    return namespace_end(real()->setns(fd, type), before);
}
