/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rewrite.h - replaces old prefixes by new ones in a stream of bytes, in bounded memory.
 *
 * Text: every occurrence is replaced, and the length may change. A "#!" line that would become
 * longer than the kernel's 127 bytes becomes a header of three lines in scripts of Python, which is
 * what pip writes then, and "#!/usr/bin/env NAME" in others.
 *
 * Binary, as conda does it: an occurrence is replaced within its C string, which is padded with
 * NULs to its old length. A string that would grow is an error.
 *
 * An occurrence counts only if no further byte of a file name follows it: /sw/env is not in
 * /sw/env2.
 */
#ifndef BCAST_RELOCATE_REWRITE_H
#define BCAST_RELOCATE_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { REWRITE_MAPS = 4 };

struct rewrite_map {
    const char *from, *to; /* absolute, without a slash at the end */
};

enum rewrite_mode { REWRITE_TEXT = 't', REWRITE_BINARY = 'b' };

/* Takes the next piece of the result. Returns 0, or -1 with `err` set. */
typedef int rewrite_emit(void *context, const void *data, size_t n, struct error *err);

struct rewriter; /* opaque */

/* The memory for one file at a time. */
struct rewriter *rewriter_new(void);
void rewriter_free(struct rewriter *r);

/* Starts a file. `maps` is copied; its strings must live until rewriter_end(). */
void rewriter_begin(struct rewriter *r, enum rewrite_mode mode, const struct rewrite_map *maps,
                    int n, rewrite_emit *emit, void *context);
int rewriter_feed(struct rewriter *r, const void *data, size_t n, struct error *err);
int rewriter_end(struct rewriter *r, struct error *err);

/* Does `data` hold `prefix` as a whole path, as said above? `last`: nothing follows the data. */
bool rewrite_contains(const void *data, size_t n, const char *prefix, bool last);

/* `target` with its prefix replaced by the first map that fits; NULL if none does. The caller frees
 * the string. */
char *rewrite_path(const char *target, const struct rewrite_map *maps, int n);

#endif
