/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.h - files that fastimport writes for the user: a plan, a report, a log.
 *
 * Nobody can make fastimport write through a symlink that he has planted: a symlink is followed
 * only if the user or root owns it. No file is ever half written: the new contents go to a
 * temporary file in the same directory, under a name that nobody can guess, which is then renamed.
 * Where the old name was a symlink, the rename replaces the link and not its target.
 *
 * Results are 0 or -errno. Thread rules: any thread, but no two threads for the same name.
 */
#ifndef FASTIMPORT_BASE_FILE_H
#define FASTIMPORT_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Creates a regular file, or replaces one, or replaces a symlink. The umask applies to `mode`.
 * Returns -EINVAL if the name is that of a device, a FIFO or a directory. */
int file_replace(const char *name, const void *bytes, size_t size, mode_t mode);

/* As file_replace(), but writes into a character device, into a FIFO that the user or root owns,
 * and into an open descriptor by its name (/dev/stdout, /dev/fd/N, /proc/self/fd/N). Opening a FIFO
 * never waits for its reader. */
int file_put(const char *name, const void *bytes, size_t size, mode_t mode);

/* Opens a file for appending and creates it if it does not exist. The name may also be that of a
 * device, of a FIFO with a reader, or of an open descriptor. Returns the descriptor; -ELOOP for a
 * symlink that neither the user nor root owns. The caller closes the descriptor. */
int file_open_to_append(const char *name, mode_t mode);

/* Creates a directory and its missing parents, each with this mode (mkdir -p). */
int file_make_directory(const char *name, mode_t mode);

#endif
