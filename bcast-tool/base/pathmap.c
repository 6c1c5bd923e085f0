/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/pathmap.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/io.h"

struct slot {
    uint64_t key; /* 0: empty */
    struct pathmap_value value;
};

struct pathmap {
    struct slot *slots;
    size_t size; /* a power of two */
    size_t used;
};

struct pathmap *pathmap_new(void)
{
    struct pathmap *m = io_alloc(sizeof *m);
    m->size = 64;
    m->slots = io_alloc(m->size * sizeof *m->slots);
    return m;
}

void pathmap_free(struct pathmap *m)
{
    if (m != NULL) {
        free(m->slots);
    }
    free(m);
}

static uint64_t pathmap_key(const char *path)
{
    uint64_t key = XXH3_64bits(path, strlen(path));
    return key ? key : 1;
}

static struct slot *pathmap_find(struct pathmap *m, uint64_t key)
{
    size_t i = key & (m->size - 1);
    while (m->slots[i].key && m->slots[i].key != key) {
        i = (i + 1) & (m->size - 1);
    }
    return &m->slots[i];
}

static void pathmap_grow(struct pathmap *m)
{
    struct slot *old = m->slots;
    size_t n = m->size;
    m->size *= 2;
    m->slots = io_alloc(m->size * sizeof *m->slots);
    for (size_t i = 0; i < n; i++) {
        if (old[i].key) {
            *pathmap_find(m, old[i].key) = old[i];
        }
    }
    free(old);
}

struct pathmap_value *pathmap_get(struct pathmap *m, const char *path)
{
    struct slot *s = pathmap_find(m, pathmap_key(path));
    return s->key ? &s->value : NULL;
}

struct pathmap_value *pathmap_put(struct pathmap *m, const char *path)
{
    uint64_t key = pathmap_key(path);
    struct slot *s = pathmap_find(m, key);
    if (!s->key) {
        if (++m->used * 4 > m->size * 3) {
            pathmap_grow(m);
            s = pathmap_find(m, key);
        }
        s->key = key;
    }
    return &s->value;
}
