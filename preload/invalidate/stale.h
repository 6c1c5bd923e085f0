/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stale.h - does what this node has changed affect the answer for a path?
 *
 * The path is walked as the kernel would walk it, by what the cache knows: name after name, through
 * symlinks. The answer stands if nothing on the way has been changed by this node (cache/change.h).
 * What the cache cannot tell counts as affected.
 *
 * Asked only after something was changed below the roots. Thread rules: any thread.
 */
#ifndef FASTIMPORT_INVALIDATE_STALE_H
#define FASTIMPORT_INVALIDATE_STALE_H

#include "cache/node.h"
#include "policy/policy.h"

struct stale_context {
    const struct node_cache *node;
    const struct policy *policy;
    /* The RECORD_STAT of a path (NUL-terminated). NULL: not known, with *error an errno that
     * follows from other records. */
    const struct record *(*look)(const char *path, size_t length, int *error);
};

bool stale_path(const struct stale_context *by, const char *path, size_t length);

#endif
