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
    /* Symlinks that lead out of the tree. By default what they point to is packed where the
     * environment needs it (OUTSIDE_NEEDED in pack/items.h). */
    bool dereference_outside; /* pack what any of them points to */
    bool keep_outside;        /* leave them all */
    int level, threads;       /* -1: the default */
};

struct pack_result {
    uint64_t files, bytes, stored; /* entries, bytes of files, bytes of the archive */
    uint64_t relocatable;          /* entries that hold a prefix */
    uint64_t external;             /* absolute symlinks that lead out of the tree */
    uint64_t outside;              /* links out, in whose place is packed what they point to */
    char first_outside[520];       /* the first of these: "LINK -> TARGET", printable */
};

/* The end of `out` chooses the format. The archive is written beside `out` and renamed at the end:
 * `out` exists only if it is complete. */
int pack_environment(const struct pack_options *o, struct pack_result *result, struct error *err);

#endif
