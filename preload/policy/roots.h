/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roots.h - which directories are the program's environment? Asked by the root rank only.
 *
 * From the interpreter's path, pyvenv.cfg, CONDA_PREFIX and VIRTUAL_ENV, PYTHONPATH, the script,
 * LD_LIBRARY_PATH and FASTIMPORT_PATH; by default those on a network file system (mounts.h). The
 * result is policy.h's text.
 */
#ifndef FASTIMPORT_POLICY_ROOTS_H
#define FASTIMPORT_POLICY_ROOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "process/config.h"

struct roots_input {
    const struct fi_config *config;
    int argc;
    char **argv;
    bool is_python;
    bool complains; /* of what FASTIMPORT_PATH and FASTIMPORT_EXCLUDE name in vain, a line each */
};

/* Writes the table into text (POLICY_TEXT bytes); returns its length. */
size_t roots_compute(const struct roots_input *input, char *text, size_t size);

/* The directory that `argv[0]`'s interpreter is installed below ("/sw/env" for /sw/env/bin/python):
 * the lexical one, symlinks not followed. False when it is unknown. */
bool roots_prefix(const char *argv0, char *out, size_t size);

/* Is there nothing to serve? Where something is on a network file system by its name already, no
 * file system is asked. */
bool roots_are_none(const struct roots_input *in);

#endif
