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
__thread bool fs_view_kept;
_Atomic int view_user_changes;
_Atomic bool view_user_changed;

void fs_view_keep(void)
{
    fs_view_kept = sys_own_directories() == 0;
}

/* Where "/" is mounted: what is bound over a part of it, and then entered by chroot(2), has the
 * same root directory. 0: not known. (Not by statx(2), which a child may be forbidden to call:
 * seccomp(2).) */
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

void view_begin_user_change(void)
{
    atomic_fetch_add(&view_user_changes, 1);
}

void view_end_user_change(bool is_other)
{
    if (is_other) {
        atomic_store(&view_user_changed, true);
    } else {
        atomic_fetch_sub(&view_user_changes, 1);
    }
}

void fs_view_end_change(bool is_other)
{
    if (is_other) {
        atomic_store(&fs_view_changed, true);
    } else {
        atomic_fetch_sub(&fs_view_changes, 1);
    }
}
