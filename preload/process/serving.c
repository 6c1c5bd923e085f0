/* SPDX-License-Identifier: BSD-3-Clause */
/* serving.c - see serving.h */
#include "process/serving.h"

#include <stddef.h>

struct resolver resolver;
_Atomic bool resolve_active;
_Atomic bool resolve_begun;

void serving_start(struct node_cache *node, struct fill *fill, const struct policy *policy,
                   int64_t wait_ns)
{
    resolver = (struct resolver){node, fill, policy, wait_ns};
    atomic_store_explicit(&resolve_begun, true, memory_order_release);
    atomic_store_explicit(&resolve_active, true, memory_order_release);
}

void serving_end(void)
{
    atomic_store_explicit(&resolve_active, false, memory_order_release);
}

void serving_set_fill(struct fill *guest)
{
    resolver.fill = guest;
}
