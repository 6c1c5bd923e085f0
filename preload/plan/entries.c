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

void plan_clear(struct plan *plan)
{
    while (plan->n > 0) {
        free(plan->entries[--plan->n].path);
    }
    while (plan->n_touched > 0) {
        free(plan->touched[--plan->n_touched].parts);
    }
}

/* The place for what was touched of this file; NULL if there is no room. */
static struct plan_touched *place_of(struct plan *plan, const struct file_version *file)
{
    for (size_t i = 0; i < plan->n_touched; i++) {
        if (memcmp(&plan->touched[i].file, file, sizeof *file) == 0) {
            return &plan->touched[i];
        }
    }
    if (plan->n_touched == plan->touched_room) {
        size_t room = plan->touched_room == 0 ? 128 : plan->touched_room * 2;
        struct plan_touched *more =
            room > PLAN_MAX_TOUCHED ? NULL : realloc(plan->touched, room * sizeof *more);

        if (more == NULL) {
            return NULL;
        }
        plan->touched = more;
        plan->touched_room = room;
    }
    plan->touched[plan->n_touched] = (struct plan_touched){.file = *file};
    return &plan->touched[plan->n_touched++];
}

bool plan_add_touched(struct plan *plan, const struct plan_touched *touched)
{
    size_t size = touched->n * sizeof *touched->parts;
    struct record_extent *parts = malloc(size + 1);
    struct plan_touched *place = parts == NULL ? NULL : place_of(plan, &touched->file);

    if (place == NULL) {
        free(parts);
        return false;
    }
    memcpy(parts, touched->parts, size);
    free(place->parts);
    *place = *touched;
    place->parts = parts;
    return true;
}
