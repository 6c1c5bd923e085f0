/* SPDX-License-Identifier: BSD-3-Clause */
/* listing.c - see listing.h */
#include "fill/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/sys.h"
#include "fill/claim.h"

enum { LEAST_ROOM = 65536, ROOM_STEP = 131072 }; /* bytes */

struct kernel_dirent { /* the layout of getdents64(2) */
    uint64_t d_ino;
    int64_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[];
};

int listing_read(int fd, struct listing *raw)
{
    for (;;) {
        ssize_t n;

        if (raw->room - raw->size < LEAST_ROOM) {
            char *more = realloc(raw->bytes, raw->room + ROOM_STEP);

            if (more == NULL) {
                return -ENOMEM;
            }
            raw->bytes = more;
            raw->room += ROOM_STEP;
        }
        n = sys_getdents64(fd, raw->bytes + raw->size, raw->room - raw->size);
        if (n <= 0) {
            return (int)n;
        }
        claim_progress();
        raw->size += (size_t)n;
    }
}

static size_t listing_entry_size(size_t name_length)
{
    return record_round8(offsetof(struct record_list_entry, name) + name_length + 1);
}

void listing_measure(const struct listing *raw, uint32_t *entries, size_t *bytes)
{
    *entries = 0;
    *bytes = 0;
    for (size_t at = 0; at < raw->size;) {
        const struct kernel_dirent *d = (const void *)(raw->bytes + at);

        at += d->d_reclen;
        *bytes += listing_entry_size(strlen(d->d_name));
        (*entries)++;
    }
}

static void add_slot(struct record_list *list, const char *name, uint32_t offset)
{
    uint32_t slot = (uint32_t)fi_hash(name, strlen(name), 0);

    while (list->slots[slot & (list->n_slots - 1)] != 0) {
        slot++;
    }
    list->slots[slot & (list->n_slots - 1)] = offset;
}

void listing_encode(const struct listing *raw, struct record_list *list, size_t head)
{
    size_t to = head;

    for (size_t at = 0; at < raw->size;) {
        const struct kernel_dirent *d = (const void *)(raw->bytes + at);
        struct record_list_entry *e = (void *)((char *)list + to);
        size_t length = strlen(d->d_name);

        at += d->d_reclen;
        e->inode = d->d_ino;
        e->type = d->d_type;
        e->length = (uint8_t)length;
        memcpy(e->name, d->d_name, length + 1);
        add_slot(list, d->d_name, (uint32_t)to);
        to += listing_entry_size(length);
    }
}
