/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * env.h - look-up in an environment that is about to be passed to exec. For the environment of this
 * process there is getenv(3).
 *
 * Thread rules: any thread; the environment must not change during the call.
 */
#ifndef FASTIMPORT_BASE_ENV_H
#define FASTIMPORT_BASE_ENV_H

/* Returns the value of `name`, a pointer into `environment`, or NULL if it is not set. A NULL
 * `environment` is an empty one, as for execve(2). */
const char *env_value(char *const environment[], const char *name);

#endif
