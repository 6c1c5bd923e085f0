/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resolve.h - the flow of one call: policy, node cache, fill.
 *
 * A wrapper asks resolve() with what it needs to know of a path. Either there is an answer (an
 * error number, or a record to make the result from), or the wrapper makes the real call.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_RESOLVE_H
#define FASTIMPORT_RESOLVE_H

#include "base/guard.h"
#include "base/path.h"
#include "cache/node.h"
#include "fill/fill.h"
#include "policy/policy.h"
#include "process/serving.h"

struct answer {
    const struct record *record; /* NULL with an error that follows from other records */
    int error;                   /* 0: success, see the record */
};

/* Could this relative path be ours? Costs no system call where the working directory is known to be
 * far from all roots. */
bool resolve_wants_relative(const char *path);
/* The working directory has changed. */
void resolve_moved(void);

/* The quick question of every wrapper: does it make sense to call resolve() for this path? */
static inline bool resolve_wanted(const char *path)
{
    if (__builtin_expect(!resolve_active, 1) || fi_inside() || (size_t)path < 4096) {
        return false;
    }
    return path[0] == '/' ? policy_maybe(resolver.policy, path) : resolve_wants_relative(path);
}

/* path: as the program gave it, relative to the working directory. True: *answer is the answer. */
bool resolve(enum call_family family, enum record_kind kind, uint64_t argument, const char *path,
             struct answer *answer);

/* Has this node changed what a path (normal) is answered with? */
bool resolve_is_stale(const char *path, size_t length);

/* The answer could not be turned into a result after all. */
void resolve_fell_back(enum fallback_reason reason);

#endif
