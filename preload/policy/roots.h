/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * roots.h - which directories are the program's environment?
 *
 * They come from the interpreter's path, pyvenv.cfg, CONDA_PREFIX, PYTHONPATH, the script,
 * LD_LIBRARY_PATH and FASTIMPORT_PATH. By default only those on a network file system count
 * (mounts.h). The result is a text for policy_load().
 *
 * Thread rules: any thread; the environment must not change meanwhile. Only the root rank calls
 * roots_compute() for the job's table.
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
    /* warns about each path in FASTIMPORT_PATH and FASTIMPORT_EXCLUDE that has no effect */
    bool complains;
};

/* Writes the table into text (size: POLICY_TEXT). Returns its length; 0: nothing is to be
 * served. */
size_t roots_compute(const struct roots_input *input, char *text, size_t size);

/* Writes the prefix below which the interpreter of argv[0] is installed ("/sw/env" for
 * /sw/env/bin/python): by its name, without following symlinks. False: not known. */
bool roots_prefix(const char *argv0, char *out, size_t size);

/* Is there certainly nothing to serve? If some name is on a network file system already, no file
 * system is asked. */
bool roots_are_none(const struct roots_input *in);

#endif
