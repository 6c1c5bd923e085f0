/* SPDX-License-Identifier: BSD-3-Clause */
/* pack.h - the command `pack`: makes an archive of an environment. */
#ifndef BCAST_PACK_PACK_H
#define BCAST_PACK_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct pack_options {
    const char *prefix, *out;
    const char *const *exclude; /* in addition to the defaults; ends with NULL. May be NULL */
    bool no_default_excludes, with_python;
    bool dereference_outside; /* pack what symlinks that lead out of the tree point to */
    bool keep_outside;        /* leave them, also where the environment needs what is there */
    int level, threads;       /* -1: the default */
};

struct pack_result {
    uint64_t files, bytes, stored; /* entries, bytes of files, bytes of the archive */
    uint64_t relocatable;          /* entries that hold a prefix */
    uint64_t external;             /* absolute symlinks that lead out of the tree */
};

/* The end of `out` chooses the format. The archive is written beside `out` and renamed at the end:
 * `out` exists only if it is complete. */
int pack_environment(const struct pack_options *o, struct pack_result *result, struct error *err);

#endif
