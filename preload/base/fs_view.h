/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fs_view.h - the mount view of a thread: its mount namespace and its root directory
 * (mount_namespaces(7), chroot(2)).
 *
 * Two processes with different mount views may find different files under the same path. The view
 * may differ between a rank and its children, and a program may change it while it runs. What was
 * looked up under one view must not be served under another.
 *
 * Thread rules: any thread, also in signal handlers and forked children.
 */
#ifndef FASTIMPORT_BASE_FS_VIEW_H
#define FASTIMPORT_BASE_FS_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Identifies the mount view of this thread: two processes on one machine with the same number see
 * the same files. 0 means that it cannot be found out (no /proc): treat it as different from every
 * other. */
uint64_t fs_view_identity(void);

extern _Atomic int fs_view_changes;
extern _Atomic bool fs_view_changed;
extern _Atomic int fs_view_user_changes;
extern _Atomic bool fs_view_user_changed;
extern __thread bool fs_view_pinned
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Pins the mount view of the calling thread, one of fastimport's own: from now on this thread and
 * those that it starts have a root directory and a working directory of their own (unshare(2),
 * CLONE_FS), which the program's chroot(2) and chdir(2) do not change. If the kernel refuses
 * (seccomp(2)), nothing happens. */
void fs_view_pin(void);

/* Call this before a call that may change the mount view. Until the matching end, look-ups of
 * threads that are not pinned are uncertain. */
void fs_view_begin_change(void);
/* Call this after it. changed: the view has changed for good; false: it is what it was before. */
void fs_view_end_change(bool changed);

/* The same for calls that change the user or the groups: afterwards permissions may hide files. */
void fs_view_begin_user_change(void);
void fs_view_end_user_change(bool changed);

/* May other processes be told what this thread has just found under a path? Only while nothing has
 * changed, or is changing, since the process started. */
static inline bool fs_view_is_certain(void)
{
    return atomic_load(&fs_view_user_changes) == 0 &&
           (fs_view_pinned || atomic_load(&fs_view_changes) == 0);
}

/* This thread may see other files than the process saw at its start. */
static inline bool fs_view_has_changed(void)
{
    return atomic_load_explicit(&fs_view_user_changed, memory_order_relaxed) ||
           (!fs_view_pinned && atomic_load_explicit(&fs_view_changed, memory_order_relaxed));
}

#endif
