/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view.c - chroot(2), unshare(2), setns(2): afterwards the names of served files name others. This
 * process then answers nothing any more, nor tells others what it finds; what it has open stays
 * what it was. (pivot_root(2) and clone(2)'s flags have no wrapper in libc that could be seen.)
 */
#include "intercept/real.h"

#include <errno.h>
#include <sched.h>

#include "base/fs_view.h"
#include "base/guard.h"
#include "invalidate/note.h"
#include "resolve.h"

/* Of a descriptor of the mirror nobody could tell later what it stands for. */
static uint64_t namespace_begin(void)
{
    if (resolve_active) {
        note_reopen_all();
    }
    fs_view_begin_change();
    return fs_view_identity();
}

/* One thread may have a namespace of its own: then all do without. */
static int namespace_end(int result, uint64_t before)
{
    int error = errno;
    bool is_other = result == 0 && (before == 0 || fs_view_identity() != before);

    if (is_other) {
        serving_end();
    }
    fs_view_end_change(is_other);
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

/* type 0: any namespace that the descriptor names */
FI_EXPORT int setns(int fd, int type)
{
    uint64_t before;

    if (type != 0 && (type & CLONE_NEWNS) == 0) {
        return real()->setns(fd, type);
    }
    before = namespace_begin();
    return namespace_end(real()->setns(fd, type), before);
}
