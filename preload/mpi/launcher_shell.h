/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launcher_shell.h - is there a shell between the launcher's daemon and this process?
 *
 * Such a shell may start other programs in the same PMI slot, before this one and after it. It is
 * found by the names and executables of this process's ancestors (proc(5): /proc/PID/stat and
 * /proc/PID/exe).
 *
 * Thread rules: any thread.
 */
#ifndef FASTIMPORT_MPI_LAUNCHER_SHELL_H
#define FASTIMPORT_MPI_LAUNCHER_SHELL_H

#include <stdbool.h>
#include <stddef.h>

/* True: there is one, and its name is in `shell`; or "?" if an ancestor has ended or cannot be
 * looked at, and so may have been one. False also where the daemon is not known. */
bool launcher_shell_above(char *shell, size_t size);

#endif
