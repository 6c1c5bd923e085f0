/* SPDX-License-Identifier: BSD-3-Clause */
/* devices.c - see devices.h */
#include "cache/devices.h"

#include <sys/sysmacros.h>

static dev_t translate(const struct device_map *map, dev_t device)
{
    for (size_t i = 0; i < map->n; i++) {
        if (map->pairs[i].there == device) {
            return map->pairs[i].here;
        }
    }
    return device;
}

static void translate_statx(struct statx *stx, const struct device_map *map)
{
    dev_t device = translate(map, makedev(stx->stx_dev_major, stx->stx_dev_minor));

    stx->stx_dev_major = major(device);
    stx->stx_dev_minor = minor(device);
}

void devices_translate(struct record *r, const struct device_map *map)
{
    void *payload = (void *)record_payload(r);
    struct record_stat *s = payload;
    struct record_content *c = payload;

    if (map->n == 0 || r->error != 0 || (r->flags & RECORD_UNAVAILABLE) != 0) {
        return;
    }
    switch (r->kind) {
    case RECORD_STAT:
        s->link.st_dev = translate(map, s->link.st_dev);
        s->target.st_dev = translate(map, s->target.st_dev);
        break;
    case RECORD_STATX:
        translate_statx(payload, map);
        break;
    case RECORD_CONTENT:
        c->st.st_dev = translate(map, c->st.st_dev);
        break;
    default:
        return;
    }
    record_seal(r);
}
