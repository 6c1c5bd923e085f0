/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * python_argv.h - python(1)'s command line: which script or module is to be run?
 *
 * Follows the synopsis of python(1): options come first; -c and -m end them, and so does the
 * script. Pure functions.
 */
#ifndef FASTIMPORT_PROCESS_PYTHON_ARGV_H
#define FASTIMPORT_PROCESS_PYTHON_ARGV_H

/* The script's name as given; NULL with -c, -m, "-" and without any. */
const char *python_argv_script(int argc, char **argv);

/* What is run, as a line of text for a key: the script, "-m NAME" or "-c TEXT"; "" when it is
 * interactive. */
void python_argv_describe(int argc, char **argv, char *out, unsigned long size);

#endif
