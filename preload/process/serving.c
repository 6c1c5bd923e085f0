/* SPDX-License-Identifier: BSD-3-Clause */
/* serving.c - see serving.h */
#include "process/serving.h"

#include <stddef.h>

struct resolver resolver;
_Atomic bool resolve_active;
_Atomic bool resolve_begun;

void serving_start(struct node_cache *node, struct fill *fill, const struct policy *policy,
                   bool is_guest)
{
    resolver = (struct resolver){node, fill, policy, is_guest};
    atomic_store_explicit(&resolve_begun, true, memory_order_release);
    atomic_store_explicit(&resolve_active, true, memory_order_release);
}

void serving_end(void)
{
    atomic_store_explicit(&resolve_active, false, memory_order_release);
}

void serving_become_guest(struct fill *guest)
{
    resolver.fill = guest;
    resolver.is_guest = true;
}
