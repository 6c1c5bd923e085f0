/* SPDX-License-Identifier: BSD-3-Clause */
/* entries.c - see entries.h */
#include "plan/entries.h"

#include <stdlib.h>
#include <string.h>

bool plan_add(struct plan *plan, const struct plan_entry *entry)
{
    if (plan->n == PLAN_MAX_ENTRIES) {
        return false;
    }
    if (plan->n == plan->capacity) {
        size_t capacity = plan->capacity == 0 ? 1024 : plan->capacity * 2;
        struct plan_entry *more = realloc(plan->entries, capacity * sizeof *more);

        if (more == NULL) {
            return false;
        }
        plan->entries = more;
        plan->capacity = capacity;
    }
    plan->entries[plan->n] = *entry;
    plan->entries[plan->n].path = strdup(entry->path);
    if (plan->entries[plan->n].path == NULL) {
        return false;
    }
    plan->n++;
    return true;
}
