/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launcher_shell.h - does a shell stand between the launcher's daemon and this process?
 *
 * A shell may start other programs in this slot, before this one and after it. Found by the names
 * and executables of the processes above this one (proc(5), /proc/PID/stat and exe).
 */
#ifndef FASTIMPORT_MPI_LAUNCHER_SHELL_H
#define FASTIMPORT_MPI_LAUNCHER_SHELL_H

#include <stdbool.h>
#include <stddef.h>

/* True: there is; its name is in shell, or "?" where a process between has ended or cannot be
 * looked at, and may have been one. False, too, where the daemon is not known. */
bool launcher_shell_above(char *shell, size_t size);

#endif
