/* SPDX-License-Identifier: BSD-3-Clause */
/* extents.c - see extents.h */
#include "cache/extents.h"

bool extents_valid(const struct extents *extents, uint64_t file_size)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < extents->n; i++) {
        const struct record_extent *e = &extents->list[i];

        if (e->length == 0 || e->offset > file_size || e->length > file_size - e->offset ||
            e->offset % EXTENT_ALIGN != 0 || (i > 0 && e->offset <= end)) {
            return false;
        }
        end = e->offset + e->length;
        if (end % EXTENT_ALIGN != 0 && end != file_size) {
            return false;
        }
    }
    return extents->n <= EXTENTS_MAX;
}

uint64_t extents_total(const struct extents *extents)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < extents->n; i++) {
        total += extents->list[i].length;
    }
    return total;
}

uint64_t extents_locate(const struct extents *extents, uint64_t position, uint64_t *run)
{
    for (uint32_t i = 0; i < extents->n; i++) {
        const struct record_extent *e = &extents->list[i];

        if (position < e->length) {
            *run = e->length - position;
            return e->offset + position;
        }
        position -= e->length;
    }
    *run = extents->n == 0 ? UINT64_MAX : 0;
    return position;
}

bool extents_gap(const struct extents *extents, uint64_t from, uint64_t to,
                 struct record_extent *gap)
{
    uint64_t end = to;

    for (uint32_t i = 0; i < extents->n; i++) {
        const struct record_extent *e = &extents->list[i];

        if (e->offset > from) {
            end = e->offset < to ? e->offset : to;
            break;
        }
        if (from < e->offset + e->length) {
            from = e->offset + e->length;
        }
    }
    if (extents->n == 0 || from >= end) {
        return false;
    }
    *gap = (struct record_extent){from, end - from};
    return true;
}
