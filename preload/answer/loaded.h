/*
 * loaded.h - dlopen of what is loaded from the mirror already, under another name.
 *
 * ld.so takes two names for one library if the file is the same (st_dev, st_ino). Of a library that
 * was loaded from the mirror it knows the mirror's file, so that a hard link or a symlink to the
 * original, opened where it is because the cache does not answer for it any more, would be loaded
 * beside it.
 *
 * Thread rules: as dlopen(3).
 */
#ifndef FASTIMPORT_ANSWER_LOADED_H
#define FASTIMPORT_ANSWER_LOADED_H

#include "base/linkmap.h"
#include "cache/node.h"

/* The program has opened `path`, from the mirror, as `name`: it may be relative. */
void loaded_note(const char *name, const char *path);

/* The handle; NULL: it is not loaded under another name, make the real call. */
void *answer_loaded(const struct node_cache *node, const char *path, int flags,
                    const struct library_calls *calls);

#endif
