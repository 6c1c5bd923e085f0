/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.h - where things are: the library that belongs to this command, and programs in PATH.
 *
 * An installation may be moved as a whole, so the library is found relative to the command.
 *
 * Thread rules: one thread.
 */
#ifndef FASTIMPORT_COMMAND_PLACE_H
#define FASTIMPORT_COMMAND_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the library's absolute path. False: it is not there. */
bool place_library(char *out, size_t size);

/* Writes the version of a library, which it is not necessary to load for that. False: this file is
 * no libfastimport.so. */
bool place_library_version(const char *library, char *out, size_t size);

/* Writes the path of a program: as the shell finds it. False: there is none. */
bool place_program(const char *name, char *out, size_t size);

#endif
