/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unlisted.h - relocates trees that came without a manifest: archives of conda-pack, and plain
 * tarballs.
 *
 * The files are there already. Each one that changes is replaced by a rewritten copy with the same
 * mode and time; its new size and checksum go to `changed`.
 */
#ifndef BCAST_RELOCATE_UNLISTED_H
#define BCAST_RELOCATE_UNLISTED_H

#include "base/error.h"
#include "base/pathmap.h"
#include "tree/tree.h"

/* Does what the tree's bin/conda-unpack would do. Returns 1; 0 if there is no such file; -1 with
 * `err` set. */
int unlisted_conda_pack(struct tree *t, const char *dir, struct pathmap *changed,
                        struct error *err);

/* The prefix that the bin/activate of a virtual environment names, or NULL. The caller frees the
 * string. */
char *unlisted_prefix(struct tree *t);

/* Rewrites the file `path` if it holds `from`: as text if it has no NUL byte, as binary if it is an
 * ELF file. All other files (byte code, data) stay. */
int unlisted_file(struct tree *t, const char *path, const char *from, const char *to,
                  struct pathmap *changed, struct error *err);

#endif
