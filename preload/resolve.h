/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resolve.h - the flow of one call: policy, node cache, fill.
 *
 * A wrapper tells resolve() what it needs to know about a path. Either it gets an answer (an error,
 * or a record from which to make the result), or it makes the real call.
 *
 * Calling order: process/serving.h has set `resolver` up (resolve_active). Thread rules: any
 * thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_RESOLVE_H
#define FASTIMPORT_RESOLVE_H

#include "base/guard.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/node.h"
#include "fill/fill.h"
#include "policy/policy.h"
#include "process/serving.h"

struct answer {
    const struct record *record; /* NULL if an error follows from other records */
    int error;                   /* 0: success, see the record; else -errno */
};

/* Could this relative path be below a root? Makes no system call while the working directory is
 * known to be far from all roots. */
bool resolve_wants_relative(const char *path);
/* Call this after the working directory has changed. */
void resolve_moved(void);

/* The quick test of every wrapper: is it worth calling resolve() for this path? */
static inline bool resolve_wanted(const char *path)
{
    if (__builtin_expect(!resolve_active, 1) || fi_inside() || !could_be_pointer(path)) {
        return false;
    }
    return path[0] == '/' ? policy_maybe(resolver.policy, path) : resolve_wants_relative(path);
}

/* path: as the program gave it; a relative one starts at the working directory. Returns true if
 * *answer is the answer. */
bool resolve(enum call_family family, enum record_kind kind, uint64_t argument, const char *path,
             struct answer *answer);

/* Is the cached answer for a path (normal) stale, because this node has changed something? */
bool resolve_is_stale(const char *path, size_t length);

/* Counts a call that was made real although its path is below a root, and why. */
void resolve_fell_back(enum fallback_reason reason);

#endif
