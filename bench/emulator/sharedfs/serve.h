/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve.h - mounts and unmounts a sharedfs client.
 */
#ifndef SHAREDFS_SERVE_H
#define SHAREDFS_SERVE_H

#include "fs.h"

/*
 * Mounts and serves. With `foreground` it returns when the mount ends. Otherwise a child process
 * serves, and it returns as soon as the mount is ready. Returns an exit code; prints failures.
 */
int serve_mount(const struct fs_options *options);

/* Unmounts a sharedfs and waits until its server has ended. Returns an exit code, prints failures.
 */
int serve_umount(const char *mountpoint);

#endif
