/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture.h - runs something in a child process and takes what it prints.
 *
 * Thread rules: one thread.
 */
#ifndef FASTIMPORT_COMMAND_CAPTURE_H
#define FASTIMPORT_COMMAND_CAPTURE_H

#include <stddef.h>

/* Runs `work` in a child, with standard output and standard error into `out` (NUL-terminated; what
 * does not fit is dropped) and nothing on standard input. Returns its exit status as a shell says it
 * (128 and more: killed by a signal); -1: it took longer than `seconds`, and was killed with its
 * children; -2: there is no child. */
int capture_call(int (*work)(void *argument), void *argument, int seconds, char *out, size_t size);

/* The same for a program: words[0] is looked for in PATH. */
int capture_program(char **words, int seconds, char *out, size_t size);

#endif
