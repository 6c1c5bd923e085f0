/*
 * Mounting and unmounting a sharedfs client.
 */
#ifndef SHAREDFS_SERVE_H
#define SHAREDFS_SERVE_H

#include "fs.h"

/*
 * Mounts and serves. Unless `foreground`, returns in the calling process as soon as the mount is
 * ready, and a child goes on serving. Returns an exit code; says on stderr what failed.
 */
int serve_mount(const struct fs_options *options);

/* Unmounts a sharedfs and waits until its server has ended. Returns an exit code; says on stderr
 * what failed. */
int serve_umount(const char *mountpoint);

#endif
