/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe.h - what the closure says about a library, and what ld.so does with it, in the same
 * process.
 *
 * Used by closure_probe (one library a process) and, through ctypes, by compare_tree.py.
 */
#ifndef FASTIMPORT_TESTS_ELF_PROBE_H
#define FASTIMPORT_TESTS_ELF_PROBE_H

#include "elf/closure.h"

/* The source that looks at the real file system. */
extern const struct fi_elf_source probe_files;

/* Opens the DSO with dlmopen as the preload library does; 0, or -1 with a message on stderr. In
 * sanitizer builds, where a second namespace cannot hold the runtime, the closure is linked in and
 * path is not used. */
int probe_open(const char *path);

/* Writes the closure of target to a file descriptor: "OK", or another status and the culprit, and
 * then a line a library that ld.so would newly load. `caller` is the library that would call
 * dlopen; NULL: the executable. */
void probe_closure(const char *target, const char *caller, int fd);

/* Writes a line for each object of the link map after the first `skip` ones; returns how many there
 * are. */
int probe_link_map(int skip, int fd);

#endif
