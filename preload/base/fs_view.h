/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fs_view.h - which files does a name name here? That is said by the mount namespace and the root
 * directory of a process (mount_namespaces(7), chroot(2)), and may differ between a rank and its
 * children, and change while it runs.
 *
 * Thread rules: any thread, also in signal handlers and forked children.
 */
#ifndef FASTIMPORT_BASE_FS_VIEW_H
#define FASTIMPORT_BASE_FS_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of this thread: equal in two processes of a machine that see the same. 0: not known (no /proc),
 * so equal to nobody's. */
uint64_t fs_view_identity(void);

extern _Atomic int fs_view_changes;
extern _Atomic bool fs_view_changed;
extern _Atomic int view_user_changes;
extern _Atomic bool view_user_changed;
extern __thread bool fs_view_kept __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* This thread, of ours, keeps the view that it has whatever the program does: its directories (root
 * and working directory) are its own from now on, and those of threads that it starts. Where the
 * kernel refuses that (seccomp(2)), nothing happens. */
void fs_view_keep(void);

/* A call that may change the view is about to be made; what a name names is uncertain from now on.
 */
void fs_view_begin_change(void);
/* And was made. is_other: names name something else for good; false: nothing has changed. */
void fs_view_end_change(bool is_other);

/* The same of the user and the groups of all threads: names may name nothing for them. */
void view_begin_user_change(void);
void view_end_user_change(bool is_other);

/* May what was just found under a name be told to others, who see what this process saw at its
 * start? */
static inline bool fs_view_is_certain(void)
{
    return atomic_load(&view_user_changes) == 0 &&
           (fs_view_kept || atomic_load(&fs_view_changes) == 0);
}

/* This thread may have another view than the process had at its start. */
static inline bool fs_view_is_other(void)
{
    return atomic_load_explicit(&view_user_changed, memory_order_relaxed) ||
           (!fs_view_kept && atomic_load_explicit(&fs_view_changed, memory_order_relaxed));
}

#endif
