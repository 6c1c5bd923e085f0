/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loaded.h - one library, loaded from the mirror and opened where it is, in either order.
 *
 * ld.so takes two names for one library if the file is the same (st_dev, st_ino). Of a library that
 * was loaded from the mirror it knows the mirror's file, so that a hard link or a symlink to the
 * original, opened where it is because the cache does not answer for it (in a child, after the end,
 * outside the roots, after a change), would be loaded beside it. So before ld.so gets such a path,
 * and before the mirror's file is loaded, the other is looked for: by what the file's stat was.
 *
 * Not seen: what ld.so opens by itself, as a dependency or by a name without a slash, of which it
 * knows neither the name nor the SONAME.
 *
 * Thread rules: as dlopen(3).
 */
#ifndef FASTIMPORT_DLOPEN_LOADED_H
#define FASTIMPORT_DLOPEN_LOADED_H

#include "cache/node.h"
#include "ldso/linkmap.h"

/* The program has opened `path`, from the mirror, as `name`: it may be relative. */
void loaded_note(const char *name, const char *path);

/* Something has been loaded from the mirror. */
void loaded_from_mirror(void);

/* Of a path that ld.so would open where it is: the handle, if it is loaded from the mirror under
 * another name; NULL: make the real call, which this counts upon. */
void *loaded_open(const struct node_cache *node, const char *path, int flags,
                  const struct library_calls *calls);

/* Is what this path (normal) was when it was read loaded from where it is, maybe under another
 * name? Then ld.so finds it by the path. */
bool loaded_as_original(const struct node_cache *node, const char *path);

#endif
