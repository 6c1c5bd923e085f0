/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exec_target.h - the program that exec starts in a rank's place: will fastimport be in it?
 *
 * It is if ld.so preloads us there (ld.so(8): LD_PRELOAD, a dynamic executable of our architecture,
 * not setuid or setgid) and the environment says whose successor it is (role.h).
 *
 * Thread rules: any thread, and signal handlers (no lock is taken, nothing allocated); the
 * environment must not change meanwhile.
 */
#ifndef FASTIMPORT_PROCESS_EXEC_TARGET_H
#define FASTIMPORT_PROCESS_EXEC_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* Is this a file that could be started? */
bool exec_target_exists(const char *path);

/* The file that execvp(3) would start: by PATH, if `name` has no slash. False: there is none. */
bool exec_target_search(const char *name, char *path, size_t size);

/* Of a file that could be started. What cannot be read, or is of another architecture, is taken for
 * ours: of the one nothing is known, the other will not start. */
bool exec_target_is_ours(const char *path, char *const environment[]);

#endif
