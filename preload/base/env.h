/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * env.h - an environment that is about to be handed to exec; for our own there is
 * getenv(3).
 *
 * Thread rules: any thread; the environment must not change meanwhile.
 */
#ifndef FASTIMPORT_BASE_ENV_H
#define FASTIMPORT_BASE_ENV_H

/* The value, inside `environment` (NULL is an empty one, as for execve(2)); NULL: it is not set. */
const char *env_value(char *const environment[], const char *name);

#endif
