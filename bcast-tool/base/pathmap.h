/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pathmap.h - a map from a path to a small record, keyed by the path's 64-bit XXH3.
 *
 * It keeps the hash only and not the path: two paths with the same hash are taken for one (the
 * probability is below 1e-7 for a million paths). A slot takes 32 bytes; the map doubles when it is
 * three quarters full. Not thread-safe.
 */
#ifndef BCAST_BASE_PATHMAP_H
#define BCAST_BASE_PATHMAP_H

#include <stddef.h>
#include <stdint.h>

struct pathmap_value {
    uint64_t sum;
    uint64_t size;
    int layer;
};

struct pathmap; /* opaque */

struct pathmap *pathmap_new(void);
void pathmap_free(struct pathmap *m);

/* The record of `path`, or NULL. It is valid until the next pathmap_put(). */
struct pathmap_value *pathmap_get(struct pathmap *m, const char *path);

/* The record of `path`; a new one is zero. It is valid until the next pathmap_put(). */
struct pathmap_value *pathmap_put(struct pathmap *m, const char *path);

#endif
