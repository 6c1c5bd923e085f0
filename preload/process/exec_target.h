/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exec_target.h - will fastimport be in the program that a rank is about to start by exec?
 *
 * It will if ld.so preloads it (ld.so(8): LD_PRELOAD, a dynamic executable of this architecture,
 * not setuid or setgid) and the environment names the rank's node cache (role.h).
 *
 * Thread rules: any thread, and signal handlers (no lock is taken, and no memory allocated); the
 * environment must not change meanwhile.
 */
#ifndef FASTIMPORT_PROCESS_EXEC_TARGET_H
#define FASTIMPORT_PROCESS_EXEC_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* Is this a regular file that this process may execute? */
bool exec_target_exists(const char *path);

/* Finds the file that execvp(3) would start: by PATH, if `name` has no slash. False: there is
 * none. */
bool exec_target_search(const char *name, char *path, size_t size);

/* Will fastimport be in the program that execve(2) of this file starts? True also for a file that
 * cannot be read, of which nothing is known, and for one of another architecture, which will not
 * start. */
bool exec_target_is_ours(const char *path, char *const environment[]);

#endif
