/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.h - files that fastimport writes for the user: a plan, a report, a log. None of them follows
 * a symlink that somebody else has put in its place.
 *
 * Results are 0 or -errno. No file is ever half written: a new one is made beside the old one,
 * under a name that nobody can guess, and renamed. Where the old one was a symlink, the link is
 * replaced, not what it points to.
 *
 * Thread rules: any thread; no two for the same name.
 */
#ifndef FASTIMPORT_BASE_FILE_H
#define FASTIMPORT_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Replaces a regular file, or a symlink to one, or makes a new file. mode: less the umask. -EINVAL
 * where the name is that of something else: a device, a FIFO, a directory. */
int file_replace(const char *name, const void *bytes, size_t size, mode_t mode);

/* The same, but a character device, a FIFO of the user's or root's, and a name of a descriptor
 * (/dev/stdout, /dev/fd/N, /proc/self/fd/N) are written to. Never waits for a reader. */
int file_put(const char *name, const void *bytes, size_t size, mode_t mode);

/* Opens a file to append to, and makes it if it is not there; also a device, a FIFO that has a
 * reader, or a descriptor by its name. -ELOOP for a symlink that is neither the user's nor root's.
 * Returns the descriptor. */
int file_open_to_append(const char *name, mode_t mode);

/* Makes a directory and those above it that are missing, each with this mode. */
int file_make_directory(const char *name, mode_t mode);

#endif
