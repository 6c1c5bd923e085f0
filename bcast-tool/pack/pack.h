/* Makes an archive of an environment. */
#ifndef BCAST_PACK_PACK_H
#define BCAST_PACK_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct pack_options {
    const char *prefix, *out;
    const char *const *exclude; /* beside the defaults; NULL-terminated, or NULL */
    bool no_default_excludes, with_python;
    int level, threads; /* -1: the default */
};

struct pack_result {
    uint64_t files, bytes, stored; /* entries, bytes of files, bytes of the archive */
    uint64_t relocatable;          /* files that hold the prefix */
    uint64_t external;             /* absolute symlinks that lead out of the tree */
};

/* The format follows from the end of `out`'s name. Writes beside it and renames at the end: `out`
 * is there only when complete. */
int pack_environment(const struct pack_options *o, struct pack_result *result, struct error *err);

#endif
