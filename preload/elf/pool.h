/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.h - memory that is released all at once.
 *
 * A closure allocates many small strings and arrays that are needed until it is released. Nothing
 * is freed individually. Thread rules: a pool is used by one thread. Errors: NULL if memory is
 * short; the pool stays usable.
 */
#ifndef FASTIMPORT_ELF_POOL_H
#define FASTIMPORT_ELF_POOL_H

#include <stddef.h>

struct fi_pool_chunk;

struct fi_pool {
    struct fi_pool_chunk *chunks; /* newest first; NULL: empty */
};

void *fi_pool_alloc(struct fi_pool *pool, size_t size); /* zeroed, aligned for any type */
void *fi_pool_pointers(struct fi_pool *pool, size_t n); /* an array of n NULL pointers */
/* Copies, NUL-terminated; fi_pool_join() concatenates three strings. */
char *fi_pool_strndup(struct fi_pool *pool, const char *text, size_t length);
char *fi_pool_strdup(struct fi_pool *pool, const char *text);
char *fi_pool_join(struct fi_pool *pool, const char *a, const char *b, const char *c);

/* Appends an item to a NULL-terminated array of n pointers. Returns the array, which may have
 * moved. */
void *fi_pool_append(struct fi_pool *pool, void *array, size_t n, const void *item);

/* Frees everything; the pool is then empty and usable. */
void fi_pool_release(struct fi_pool *pool);

#endif
