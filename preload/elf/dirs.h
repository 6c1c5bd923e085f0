/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirs.h - lists of directories (LD_LIBRARY_PATH, DT_RPATH, DT_RUNPATH and the default ones), as
 * ld.so reads them.
 *
 * The pool owns all results. NULL: memory is short.
 */
#ifndef FASTIMPORT_ELF_DIRS_H
#define FASTIMPORT_ELF_DIRS_H

#include "elf/closure.h"
#include "elf/pool.h"

/* Replaces $ORIGIN, $LIB, $PLATFORM and their ${} forms. If a token has no value, the whole result
 * is "", as in ld.so. Unknown tokens stay as they are. `origin` may be NULL. */
char *fi_dst_expand(struct fi_pool *pool, const struct fi_elf_host *host, const char *text,
                    const char *origin);

/* The directory of a path, without a slash at its end (except "/"). */
char *fi_origin_of(struct fi_pool *pool, const char *path);

/* Makes a path absolute. NULL also if it is relative and cwd is NULL. */
char *fi_absolute(struct fi_pool *pool, const char *cwd, const char *path);

/* Splits a list as ld.so does: tokens replaced, each directory once, with one slash at its end; ""
 * stands for the working directory. The result is NULL-terminated. `host` may be NULL if no token
 * is to be replaced. */
const char **fi_dirs_split(struct fi_pool *pool, const struct fi_elf_host *host, const char *list,
                           const char *separators, const char *origin);

/* The number of directories in such a list. */
size_t fi_dirs_count(const char *const *dirs);

/* The directories in which to look for a name, in order, absolute: those of the list that exist,
 * each after those of its hwcaps subdirectories that exist. */
const char **fi_dirs_places(struct fi_pool *pool, const struct fi_closure_request *request,
                            const struct fi_elf_host *host, const char *const *dirs);

#endif
