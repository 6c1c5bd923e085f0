/* SPDX-License-Identifier: BSD-3-Clause */
/* fs_view.c - see fs_view.h */
#include "base/fs_view.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/sys.h"

_Atomic int fs_view_changes;
_Atomic bool fs_view_changed;
__thread bool fs_view_pinned;
_Atomic int fs_view_user_changes;
_Atomic bool fs_view_user_changed;

void fs_view_pin(void)
{
    fs_view_pinned = sys_own_directories() == 0;
}

/* The mount id of "/". A root directory that is bind-mounted over a part of the tree and then
 * entered by chroot(2) has the same device and inode, but another mount id. Returns 0 if it is not
 * known. statx(2) would tell it too, but a seccomp(2) filter may forbid that in a child. */
static uint64_t mount_of_root(void)
{
    int fd = sys_open("/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    char name[64];
    char text[512];
    const char *id = NULL;

    if (fd >= 0) {
        snprintf(name, sizeof name, "/proc/thread-self/fdinfo/%d", fd);
        id = sys_read_file(name, text, sizeof text) > 0 ? strstr(text, "mnt_id:") : NULL;
        sys_close(fd);
    }
    return id == NULL ? 0 : strtoull(id + 7, NULL, 10);
}

uint64_t fs_view_identity(void)
{
    uint64_t key[4] = {0};
    struct stat st;
    uint64_t identity;

    if (sys_stat("/proc/thread-self/ns/mnt", &st) != 0) {
        return 0;
    }
    key[0] = st.st_ino;
    if (sys_stat("/", &st) != 0) {
        return 0;
    }
    key[1] = st.st_dev;
    key[2] = st.st_ino;
    key[3] = mount_of_root();
    identity = fi_hash(key, sizeof key, 0);
    return identity != 0 ? identity : 1;
}

void fs_view_begin_change(void)
{
    atomic_fetch_add(&fs_view_changes, 1);
}

void fs_view_begin_user_change(void)
{
    atomic_fetch_add(&fs_view_user_changes, 1);
}

void fs_view_end_user_change(bool changed)
{
    if (changed) {
        atomic_store(&fs_view_user_changed, true);
    } else {
        atomic_fetch_sub(&fs_view_user_changes, 1);
    }
}

void fs_view_end_change(bool changed)
{
    if (changed) {
        atomic_store(&fs_view_changed, true);
    } else {
        atomic_fetch_sub(&fs_view_changes, 1);
    }
}
