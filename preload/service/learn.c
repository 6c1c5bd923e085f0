/* SPDX-License-Identifier: BSD-3-Clause */
/* learn.c - see learn.h */
#include "service/learn.h"

#include <stdlib.h>

#include "base/sys.h"
#include "cache/counters.h"
#include "cache/mirror.h"
#include "fill/learnt.h"
#include "ldso/touched.h"

_Static_assert((int)TOUCHED_WINDOW == (int)EXTENT_ALIGN, "parts are extents");

static const int64_t QUIET_NS = 5000000000;

static struct {
    uint64_t calls; /* of the program, so far */
    int64_t since;  /* when there were so many first */
    bool looked;
    bool aged; /* what the plan knew is one run older */
} learn;

void learn_remember(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_touched; i++) {
        const struct plan_touched *t = &plan->touched[i];
        struct record_extent *list = calloc(t->n + 1, sizeof *list);

        for (uint32_t k = 0; list != NULL && k < t->n; k++) {
            list[k].offset = t->parts[k].offset * EXTENT_ALIGN;
            list[k].length = t->parts[k].length * EXTENT_ALIGN;
        }
        if (list != NULL) {
            learnt_add(&t->file, (struct extents){list, t->n}); /* which never forgets it */
        }
    }
} // NOLINT(clang-analyzer-unix.Malloc): the tree has it

static int by_offset(const void *a, const void *b)
{
    const struct touched_part *x = a;
    const struct touched_part *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

/* Sorts the parts and puts them into `out`, which has room for EXTENTS_MAX. Returns their number; 0:
 * there are too many. */
static uint32_t learn_merge(const struct touched_part *parts, size_t n, struct record_extent *out)
{
    struct touched_part *sorted = calloc(n, sizeof *sorted);
    uint32_t merged = 0;

    for (size_t i = 0; sorted != NULL && i < n; i++) {
        sorted[i] = parts[i];
    }
    if (sorted == NULL) {
        return 0;
    }
    qsort(sorted, n, sizeof *sorted, by_offset);
    for (size_t i = 0; i < n; i++) {
        uint64_t from = sorted[i].from / EXTENT_ALIGN;
        uint64_t to = sorted[i].to / EXTENT_ALIGN;
        struct record_extent *last = merged == 0 ? NULL : &out[merged - 1];

        if (last != NULL && from <= last->offset + last->length) {
            last->length = to > last->offset + last->length ? to - last->offset : last->length;
        } else if (merged == EXTENTS_MAX) {
            merged = 0;
            break;
        } else {
            out[merged++] = (struct record_extent){from, to - from};
        }
    }
    free(sorted);
    return merged;
}

struct learn_context {
    struct plan *plan;
    const struct node_cache *node;
    struct record_extent *parts; /* room for EXTENTS_MAX */
};

static void learn_object(void *context, const char *name, const struct touched_part *parts,
                         size_t n)
{
    struct learn_context *c = context;
    const struct record *r = mirror_library(c->node, name);
    struct plan_touched t = {.parts = c->parts};

    if (r == NULL) {
        return;
    }
    t.file = file_version_of(&((const struct record_content *)record_payload(r))->st);
    t.n = learn_merge(parts, n, c->parts);
    if (t.n > 0) {
        plan_add_touched(c->plan, &t);
    }
}

static void learn_now(struct plan *plan, const struct node_cache *node)
{
    struct learn_context c = {plan, node, calloc(EXTENTS_MAX, sizeof *c.parts)};

    for (size_t i = 0; !learn.aged && i < plan->n_touched; i++) {
        plan->touched[i].age++;
    }
    learn.aged = true;
    if (c.parts != NULL && plan->save && plan->file[0] != '\0') {
        touched_all(learn_object, &c);
    }
    free(c.parts);
}

/* The calls of this process about served paths. All imports make some, also where the plan has every
 * answer. */
static uint64_t count_calls(void)
{
    uint64_t n = 0;

    for (int family = 0; family < CALL_FAMILIES; family++) {
        n += atomic_load_explicit(&fi_count->intercepted[family], memory_order_relaxed);
    }
    return n;
}

void learn_when_quiet(struct plan *plan, const struct node_cache *node)
{
    uint64_t calls = count_calls();
    int64_t now = sys_now_ns();

    if (calls != learn.calls) {
        learn.calls = calls;
        learn.since = now;
        learn.looked = false;
    } else if (!learn.looked && now - learn.since > QUIET_NS) {
        learn.looked = true;
        learn_now(plan, node);
    }
}

void learn_at_end(struct plan *plan, const struct node_cache *node)
{
    if (!learn.looked || count_calls() != learn.calls) {
        learn_now(plan, node);
        learn.looked = true;
    }
}
