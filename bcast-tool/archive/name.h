/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name.h - which names and which targets of links an archive may have. Pure functions; no file
 * system is asked.
 *
 * Each entry must land below DIR under its own name, whatever links exist there. A name for which
 * that does not hold is refused, with a reason.
 */
#ifndef BCAST_ARCHIVE_NAME_H
#define BCAST_ARCHIVE_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* The tool's own directory, in archives and in staged trees, and its files. */
#define NAME_OWN      ".python-mpi-bcast"
#define NAME_MANIFEST NAME_OWN "/manifest"
#define NAME_STATE    NAME_OWN "/state" /* says what was staged (stage/destination.h) */
#define NAME_MARK                                                                                  \
    NAME_OWN "/partial" /* marks a partial copy; the job that writes it holds a lock on this file */

/* Writes the normal form of `raw` into `out`: "./a//b/" becomes "a/b", "./" becomes "". Returns
 * NULL, or a static string that says why the name is refused: it is absolute, has a ".." component,
 * a newline, a component of more than 255 bytes, or does not fit into `size` bytes. */
const char *name_normal(const char *raw, char *out, size_t size);

/* May a symlink at the normal path `path` point to `target`? Returns NULL, or the reason why not. A
 * relative target must stay inside the tree. Absolute targets pass: the caller must decide about
 * them. */
const char *name_link(const char *path, const char *target);

/* Is `path` the directory `dir` itself, or below it? Both are in normal form. */
bool name_below(const char *path, const char *dir);

#endif
