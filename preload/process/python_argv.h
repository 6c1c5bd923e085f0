/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * python_argv.h - Python's command line: which script or module is to be run?
 *
 * Follows the synopsis of python(1): options come first; -c and -m end them, and so does the
 * script. Pure functions. What they return points into argv.
 */
#ifndef FASTIMPORT_PROCESS_PYTHON_ARGV_H
#define FASTIMPORT_PROCESS_PYTHON_ARGV_H

/* The script's name as given; NULL with -c, -m or "-", and where there is no script. */
const char *python_argv_script(int argc, char **argv);

/* Writes what is run as text for a hash: the script, "-m NAME" or "-c TEXT"; "" for an interactive
 * interpreter. */
void python_argv_describe(int argc, char **argv, char *out, unsigned long size);

#endif
