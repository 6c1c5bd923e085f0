/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loaded.h - finds a library that is loaded already, if it was loaded from the mirror and is now
 * opened at its own place, or the other way round.
 *
 * ld.so recognises a loaded library by its file (st_dev, st_ino). For a library that was loaded
 * from the mirror that is the mirror's file. When the cache does not answer (in a child, after the
 * end of the service, outside the roots, after a change), the program may open the original by a
 * hard link or a symlink, and ld.so would load it a second time. So before ld.so gets such a path,
 * and before a mirror file is loaded, this module looks for the other one, by the stat of the
 * original.
 *
 * Not found: what ld.so opens by itself, as a dependency or by a name without a slash, if it knows
 * neither that name nor the SONAME.
 *
 * Thread rules: as dlopen(3).
 */
#ifndef FASTIMPORT_DLOPEN_LOADED_H
#define FASTIMPORT_DLOPEN_LOADED_H

#include "cache/node.h"
#include "ldso/linkmap.h"

/* The program has opened `path` from the mirror under `name`, which may be relative. */
void loaded_note(const char *name, const char *path);

/* A library has been loaded from the mirror. */
void loaded_from_mirror(void);

/* For a path that ld.so would open at its own place: the handle, if the library is loaded from the
 * mirror under another name. NULL: make the real call; the library is then remembered as loaded
 * from its own place. */
void *loaded_open(const struct node_cache *node, const char *path, int flags,
                  const struct library_calls *calls);

/* Was the file of this path (normal) loaded from its own place, perhaps under another name? Then
 * ld.so finds it by the path. */
bool loaded_as_original(const struct node_cache *node, const char *path);

#endif
