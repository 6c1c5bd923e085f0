/* SPDX-License-Identifier: BSD-3-Clause */
/* parts.c - see parts.h */
#include "fill/parts.h"

#include <stdlib.h>

void parts_add(struct parts *p, uint64_t from, uint64_t to)
{
    if (from >= to) {
        return;
    }
    if (p->n == p->room) {
        size_t room = p->room == 0 ? 64 : 2 * p->room;
        struct part *more = realloc(p->list, room * sizeof *more);

        if (more == NULL) {
            p->failed = true;
            return;
        }
        p->list = more;
        p->room = room;
    }
    p->list[p->n++] = (struct part){from, to};
}

static int compare_parts(const void *a, const void *b)
{
    const struct part *x = a;
    const struct part *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

void parts_merge(struct parts *p, uint64_t gap)
{
    size_t last = 0;

    if (p->n == 0) {
        return;
    }
    qsort(p->list, p->n, sizeof *p->list, compare_parts);
    for (size_t i = 1; i < p->n; i++) {
        struct part *before = &p->list[last];

        if (p->list[i].from <= before->to || p->list[i].from - before->to < gap) {
            before->to = p->list[i].to > before->to ? p->list[i].to : before->to;
        } else {
            p->list[++last] = p->list[i];
        }
    }
    p->n = last + 1;
}

void parts_add_without(struct parts *p, uint64_t from, uint64_t to, const struct parts *without)
{
    for (size_t i = 0; i < without->n && from < to; i++) {
        const struct part *w = &without->list[i];

        if (w->to > from && w->from < to) {
            parts_add(p, from, w->from);
            from = w->to;
        }
    }
    parts_add(p, from, to);
}
