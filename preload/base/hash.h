/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash.h - the one 64-bit hash, for keys of the node cache, checksums of plans, and names in
 * listings: wyhash, final version 4, with its default secret (github.com/wangyi-fudan/wyhash, in the
 * public domain). The seed tells kinds of keys apart. It finds damage, not forgery.
 *
 * It stands here so that the library is built with a C compiler and libelf alone. It reads words as a
 * little-endian machine does.
 *
 * Thread rules: any thread; no state.
 */
#ifndef FASTIMPORT_BASE_HASH_H
#define FASTIMPORT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const uint64_t hash_secret[4] = {0x2d358dccaa6c78a5, 0x8bb84b93962eacc9, 0x4b33a62ed433d4a3,
                                        0x4d5a2da51de1aa47};

/* The product's two halves. */
static inline void hash_multiply(uint64_t *a, uint64_t *b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)*a * *b;

    *a = (uint64_t)product;
    *b = (uint64_t)(product >> 64);
}

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    hash_multiply(&a, &b);
    return a ^ b;
}

static inline uint64_t hash_read8(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t hash_read4(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

/* Takes the stripes of 48 bytes, of which there is one at least. */
static inline uint64_t hash_stripes(const unsigned char **at, size_t *left, uint64_t seed)
{
    uint64_t a = seed;
    uint64_t b = seed;
    uint64_t c = seed;

    for (; *left >= 48; *left -= 48, *at += 48) {
        a = hash_mix(hash_read8(*at) ^ hash_secret[1], hash_read8(*at + 8) ^ a);
        b = hash_mix(hash_read8(*at + 16) ^ hash_secret[2], hash_read8(*at + 24) ^ b);
        c = hash_mix(hash_read8(*at + 32) ^ hash_secret[3], hash_read8(*at + 40) ^ c);
    }
    return a ^ b ^ c;
}

static inline uint64_t fi_hash(const void *bytes, size_t size, uint64_t seed)
{
    const unsigned char *at = bytes;
    size_t left = size;
    uint64_t a = 0;
    uint64_t b = 0;

    seed ^= hash_mix(seed ^ hash_secret[0], hash_secret[1]);
    if (size > 16) {
        seed = size >= 48 ? hash_stripes(&at, &left, seed) : seed;
        for (; left > 16; left -= 16, at += 16) {
            seed = hash_mix(hash_read8(at) ^ hash_secret[1], hash_read8(at + 8) ^ seed);
        }
        a = hash_read8(at + left - 16); /* may reach back into what was taken already */
        b = hash_read8(at + left - 8);
    } else if (size >= 4) {
        size_t middle = size >> 3 << 2;

        a = hash_read4(at) << 32 | hash_read4(at + middle);
        b = hash_read4(at + size - 4) << 32 | hash_read4(at + size - 4 - middle);
    } else if (size > 0) {
        a = (uint64_t)at[0] << 16 | (uint64_t)at[size >> 1] << 8 | at[size - 1];
    }
    a ^= hash_secret[1];
    b ^= seed;
    hash_multiply(&a, &b);
    return hash_mix(a ^ hash_secret[0] ^ size, b ^ hash_secret[1]);
}

#endif
