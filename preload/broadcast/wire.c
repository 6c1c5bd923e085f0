/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.c - see wire.h */
#include "broadcast/wire.h"

#include <string.h>

bool wire_put(char *buffer, size_t capacity, size_t *at, const struct fi_query *q)
{
    size_t need = record_round8(sizeof(struct wire_request) + q->length + 1);
    struct wire_request *w = (void *)(buffer + *at);

    if (need > capacity - *at) {
        return false;
    }
    w->argument = q->argument;
    w->length = (uint16_t)q->length;
    w->kind = (uint8_t)q->kind;
    memcpy(w->path, q->path, q->length);
    w->path[q->length] = '\0';
    *at += need;
    return true;
}

bool wire_get(const char *buffer, size_t size, size_t *at, struct fi_query *q)
{
    const struct wire_request *w = (const void *)(buffer + *at);
    size_t need;

    if (size - *at < sizeof *w) {
        return false;
    }
    need = record_round8(sizeof *w + w->length + 1u);
    if (size - *at < need || w->path[w->length] != '\0' || w->kind == 0 ||
        w->kind >= RECORD_KINDS) {
        return false;
    }
    *q = query_make((enum record_kind)w->kind, w->argument, w->path, w->length);
    *at += need;
    return true;
}
