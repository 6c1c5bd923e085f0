/* Relocation of trees that came without our manifest: conda-pack's archives and plain tarballs.
 *
 * Works on files that are already there; each is replaced by a rewritten copy with the same mode
 * and time. The new sizes and checksums go to `changed`.
 */
#ifndef BCAST_RELOCATE_UNLISTED_H
#define BCAST_RELOCATE_UNLISTED_H

#include "base/error.h"
#include "base/pathmap.h"
#include "tree/tree.h"

/* If bin/conda-unpack is there, does what it would do. 1 if so, 0 if it is not there, -1 with `err`.
 */
int unlisted_conda_pack(struct tree *t, const char *dir, struct pathmap *changed,
                        struct error *err);

/* The prefix that a virtual environment's bin/activate names, or NULL. The caller frees. */
char *unlisted_prefix(struct tree *t);

/* Rewrites `path` if it holds `from`: as text if it has no NUL, as binary if it is ELF; anything
 * else (byte code, data) stays. */
int unlisted_file(struct tree *t, const char *path, const char *from, const char *to,
                  struct pathmap *changed, struct error *err);

#endif
