/* SPDX-License-Identifier: BSD-3-Clause */
/* hash.h - the one 64-bit hash, for keys of the node cache and for names in listings: XXH3
 * (https://xxhash.com). The seed tells kinds of keys apart. */
#ifndef FASTIMPORT_BASE_HASH_H
#define FASTIMPORT_BASE_HASH_H

#define XXH_INLINE_ALL
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

static inline uint64_t fi_hash(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}

#endif
