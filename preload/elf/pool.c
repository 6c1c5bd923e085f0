/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c - see pool.h */
#include "elf/pool.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 16 * 1024 };

struct fi_pool_chunk {
    struct fi_pool_chunk *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

static struct fi_pool_chunk *new_chunk(struct fi_pool *pool, size_t size)
{
    struct fi_pool_chunk *chunk = calloc(1, sizeof *chunk + size);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->size = size;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    return chunk;
}

void *fi_pool_alloc(struct fi_pool *pool, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > PTRDIFF_MAX - CHUNK_SIZE) {
        return NULL;
    }
    size = (size + align - 1) & ~(align - 1);
    struct fi_pool_chunk *chunk = pool->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        chunk = new_chunk(pool, size > CHUNK_SIZE ? size : CHUNK_SIZE);
    }
    if (chunk == NULL) {
        return NULL;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

void *fi_pool_pointers(struct fi_pool *pool, size_t n)
{
    return n < PTRDIFF_MAX / sizeof(void *) ? fi_pool_alloc(pool, n * sizeof(void *)) : NULL;
}

char *fi_pool_strndup(struct fi_pool *pool, const char *text, size_t length)
{
    char *copy = fi_pool_alloc(pool, length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

char *fi_pool_strdup(struct fi_pool *pool, const char *text)
{
    return fi_pool_strndup(pool, text, strlen(text));
}

char *fi_pool_join(struct fi_pool *pool, const char *a, const char *b, const char *c)
{
    char *joined = fi_pool_alloc(pool, strlen(a) + strlen(b) + strlen(c) + 1);
    if (joined != NULL) {
        stpcpy(stpcpy(stpcpy(joined, a), b), c);
    }
    return joined;
}

/* The capacity is the smallest power of two, at least 4, that holds n items and the final NULL. */
void *fi_pool_append(struct fi_pool *pool, void *array, size_t n, const void *item)
{
    const void **items = array;
    int full = items == NULL || (n + 1 >= 4 && ((n + 1) & n) == 0);
    if (full) {
        items = fi_pool_pointers(pool, n + 1 < 4 ? 4 : 2 * (n + 1));
        if (items == NULL) {
            return NULL;
        }
        if (array != NULL) {
            memcpy(items, array, n * sizeof *items);
        }
    }
    items[n] = item;
    items[n + 1] = NULL;
    return items;
}

void fi_pool_release(struct fi_pool *pool)
{
    struct fi_pool_chunk *chunk = pool->chunks;
    while (chunk != NULL) {
        struct fi_pool_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    pool->chunks = NULL;
}
