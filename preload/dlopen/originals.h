/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * originals.h - maps the original of a library over the parts that its copy in the mirror lacks
 * (cache/extents.h).
 *
 * Before ld.so maps a partial copy, originals_add() opens the original, makes sure that it is still
 * the file that the root has read, and maps these parts of it anywhere. Whatever can fail, fails
 * there, and the library is then left to ld.so. When ld.so has mapped the copy, and before it
 * relocates it or any code of it runs, originals_place() moves these pages to where they belong.
 * They are private mappings with the protection of their segment, so what the process sees is what
 * ld.so alone would have mapped; page faults go to the original, as in a plain run.
 *
 * Calling order: originals_add() any number of times, the dlopen, in it originals_place(),
 * originals_release(). Thread rules: one thread for each struct; originals_place() is called under
 * ld.so's lock.
 */
#ifndef FASTIMPORT_DLOPEN_ORIGINALS_H
#define FASTIMPORT_DLOPEN_ORIGINALS_H

#include "cache/node.h"

struct original_part; /* pages of an original, and where they belong */

/* Start with {0}. */
struct originals {
    struct original_part *parts; /* owned */
    size_t n, room;
};

/* Prepares the library of a RECORD_CONTENT whose copy is `copy`. Does nothing if the copy lacks
 * nothing. Returns NULL, or the reason why the copy must not be mapped. */
const char *originals_add(struct originals *originals, const struct record *content,
                          const char *copy);

/* Moves the pages to the objects that ld.so has mapped from the copies. May be called again. */
void originals_place(struct originals *originals);

/* Unmaps what was not placed: libraries that ld.so had loaded already, or has not loaded. */
void originals_release(struct originals *originals);

#endif
