/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirs.h - lists of directories: LD_LIBRARY_PATH, DT_RPATH, DT_RUNPATH and the default ones, as
 * ld.so reads them.
 */
#ifndef FASTIMPORT_ELF_DIRS_H
#define FASTIMPORT_ELF_DIRS_H

#include "elf/closure.h"
#include "elf/pool.h"

/* Replaces $ORIGIN, $LIB, $PLATFORM and their ${} forms. A token without a value makes the whole
 * text "", as in ld.so; unknown tokens stay as they are. `origin` may be NULL. NULL: out of memory.
 */
char *fi_dst_expand(struct fi_pool *pool, const struct fi_elf_host *host, const char *text,
                    const char *origin);

/* The directory of a path, without the slash at its end ("/" stays). NULL: out of memory. */
char *fi_origin_of(struct fi_pool *pool, const char *path);

/* Makes a path absolute; NULL if it is relative and cwd is NULL (or memory is short). */
char *fi_absolute(struct fi_pool *pool, const char *cwd, const char *path);

/* A list as ld.so holds it: expanded, each directory once, with one slash at its end; "" stands for
 * the working directory. NULL-terminated; NULL: out of memory. `host` may be NULL if no token is to
 * be replaced. */
const char **fi_dirs_split(struct fi_pool *pool, const struct fi_elf_host *host, const char *list,
                           const char *separators, const char *origin);

size_t fi_dirs_count(const char *const *dirs);

/* The directories of a list that exist, each after those of its hwcaps subdirectories that exist:
 * the places where a name is to be tried, in order, absolute. NULL: out of memory. */
const char **fi_dirs_places(struct fi_pool *pool, const struct fi_closure_request *request,
                            const struct fi_elf_host *host, const char *const *dirs);

#endif
