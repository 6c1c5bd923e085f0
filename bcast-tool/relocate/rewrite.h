/* Replaces old prefixes by new ones in a stream of bytes, in bounded memory.
 *
 * Text: every occurrence, the length may change. A "#!" line that would pass the kernel's 127 bytes
 * becomes "#!/usr/bin/env NAME".
 * Binary, as conda does it: within the C string that holds the prefix, padded with NUL at its end;
 * a string that would grow is an error. An occurrence counts only if no further byte of a file name
 * follows it: /sw/env is not in /sw/env2.
 */
#ifndef BCAST_RELOCATE_REWRITE_H
#define BCAST_RELOCATE_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { REWRITE_MAPS = 4 };

struct rewrite_map {
    const char *from, *to; /* absolute, no slash at the end */
};

enum rewrite_mode { REWRITE_TEXT = 't', REWRITE_BINARY = 'b' };

/* Takes the result, piece by piece. 0, or -1 with `err` set. */
typedef int rewrite_emit(void *context, const void *data, size_t n, struct error *err);

struct rewriter; /* opaque */

/* Memory for one file at a time. */
struct rewriter *rewriter_new(void);
void rewriter_free(struct rewriter *r);

/* Starts a file. `maps` is copied, its strings must live until rewriter_end. */
void rewriter_begin(struct rewriter *r, enum rewrite_mode mode, const struct rewrite_map *maps,
                    int n, rewrite_emit *emit, void *context);
int rewriter_feed(struct rewriter *r, const void *data, size_t n, struct error *err);
int rewriter_end(struct rewriter *r, struct error *err);

/* Does `data` hold `prefix` as a whole path, as defined above? `last`: nothing follows the data. */
bool rewrite_contains(const void *data, size_t n, const char *prefix, bool last);

/* `target` with its leading prefix replaced by the first map that fits; NULL if none does.
 * The caller frees. */
char *rewrite_path(const char *target, const struct rewrite_map *maps, int n);

#endif
