/* A map from a path to a small record, keyed by the 64-bit XXH3 of the path.
 *
 * Keys are hashes: two paths with the same hash are taken for one (chance below 1e-7 at a million
 * paths). Holds 32 bytes a slot, grows by doubling. Not thread-safe.
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

/* The record of `path`, or NULL. Valid until the next pathmap_put. */
struct pathmap_value *pathmap_get(struct pathmap *m, const char *path);

/* The record of `path`, made (zero) if new. Valid until the next pathmap_put. */
struct pathmap_value *pathmap_put(struct pathmap *m, const char *path);

#endif
