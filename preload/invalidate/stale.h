/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stale.h - is the cached answer for a path stale, because of what this node has changed?
 *
 * The path is walked as the kernel would walk it, but using the records of the cache: name after
 * name, through symlinks. The answer is good if nothing on the way has been changed by this node
 * (cache/changes.h). If the cache cannot tell, the answer counts as stale.
 *
 * Called only after something below the roots has been changed. Thread rules: any thread.
 */
#ifndef FASTIMPORT_INVALIDATE_STALE_H
#define FASTIMPORT_INVALIDATE_STALE_H

#include "cache/node.h"
#include "policy/policy.h"

struct stale_context {
    const struct node_cache *node;
    const struct policy *policy;
    /* Returns the RECORD_STAT of a path (NUL-terminated). NULL: there is none; *error is then a
     * -errno that follows from other records, or 0. */
    const struct record *(*look)(const char *path, size_t length, int *error);
};

/* Is the answer for this path (normal, `length` bytes) stale? */
bool stale_path(const struct stale_context *by, const char *path, size_t length);

#endif
