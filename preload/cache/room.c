/* SPDX-License-Identifier: BSD-3-Clause */
/* room.c - see room.h */
#include "cache/room.h"

#include <errno.h>
#include <linux/magic.h>

#include "base/sys.h"

enum {
    SMALL = 1 << 20,     /* smaller files are kept as long as they fit */
    LOOK_STEP = 16 << 20 /* bytes of one file after which the limits are read again */
};

static const uint64_t most_spare = 1ULL << 30;
static const int64_t grant_ns = 1000000000;

static uint64_t room_between(uint64_t limit, uint64_t used)
{
    return used < limit ? limit - used : 0;
}

static uint64_t room_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t room_under(const struct memory_limit *limits, size_t n, uint64_t held)
{
    uint64_t room = UINT64_MAX;

    for (size_t i = 0; i < n; i++) {
        uint64_t limit = limits[i].limit;

        room = room_least(room, room_between(limit / 8, held));
        room = room_least(room, room_between(limit - memory_limit_spare(limit, 4), limits[i].used));
    }
    return room;
}

bool room_is_tight(const struct memory_limit *limits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (limits[i].used > limits[i].limit - memory_limit_spare(limits[i].limit, 8)) {
            return true;
        }
    }
    return false;
}

bool room_fits(uint64_t size, uint64_t room)
{
    return size <= room && (size <= SMALL || size <= room / 2);
}

/* What the file system has, without what is to stay free. */
static uint64_t room_of_file_system(const struct statfs *sf)
{
    uint64_t spare = (uint64_t)sf->f_blocks * (uint64_t)sf->f_bsize / 10;

    return room_between((uint64_t)sf->f_bavail * (uint64_t)sf->f_bsize,
                        room_least(spare, most_spare));
}

/* Of a file system that is not in memory the kernel can take pages back. */
static uint64_t room_of_memory(const struct statfs *sf, uint64_t held)
{
    struct memory_limit limits[MEMORY_LIMITS];

    if (sf->f_type != TMPFS_MAGIC && sf->f_type != RAMFS_MAGIC) {
        return UINT64_MAX;
    }
    return room_under(limits, memory_limits_read(limits), held);
}

/* Looks whether `size` bytes fit, besides what was promised to others and is not written yet. If
 * so, the next small files may be taken without a look. */
static int room_look(struct segment *index, int fd, uint64_t size, uint64_t held, uint64_t promised,
                     bool (*fits)(uint64_t, uint64_t))
{
    struct segment_header *h = index->header;
    struct statfs sf;
    uint64_t on_disk;
    uint64_t room;
    int error = sys_fstatfs(fd, &sf);

    if (error != 0) {
        return error;
    }
    on_disk = room_between(room_of_file_system(&sf), promised);
    /* `held` has what was promised; what memory is used for has not */
    room = room_of_memory(&sf, room_between(held, promised));
    room = room == UINT64_MAX ? room : room_between(room, promised);
    if (!fits(size, on_disk)) {
        return -ENOSPC;
    }
    if (!fits(size, room)) {
        return -ENOBUFS;
    }
    atomic_store(&h->granted, room_least(room_least(room, on_disk) / 8, LOOK_STEP));
    atomic_store(&h->granted_until, sys_now_ns() + grant_ns);
    return 0;
}

/* May a small file be taken by what the last look has granted? */
static bool room_is_granted(struct segment_header *h, uint64_t size)
{
    uint64_t left = atomic_load(&h->granted);

    if (sys_now_ns() >= atomic_load(&h->granted_until)) {
        return false;
    }
    while (left >= size) {
        if (atomic_compare_exchange_weak(&h->granted, &left, left - size)) {
            return true;
        }
    }
    return false;
}

static int room_refuse(int error, uint64_t size)
{
    if (error == -ENOSPC || error == -ENOBUFS) {
        count_add(&fi_count->files_not_kept, 1);
        count_add(&fi_count->bytes_not_kept, size);
    }
    return error;
}

int room_take(struct room *room, struct segment *index, int fd, uint64_t size)
{
    struct segment_header *h = index->header;
    int error;

    *room = (struct room){.index = index};
    if (size > SMALL || !room_is_granted(h, size)) {
        error =
            room_look(index, fd, size, atomic_load(&h->held), atomic_load(&h->promised), room_fits);
        if (error != 0) {
            return room_refuse(error, size);
        }
    }
    atomic_fetch_add(&h->held, size);
    atomic_fetch_add(&h->promised, size);
    *room = (struct room){index, size, 0, LOOK_STEP};
    return 0;
}

/* A file that was begun goes on as long as it fits. */
static bool room_still_fits(uint64_t size, uint64_t room)
{
    return size <= room;
}

int room_use(struct room *room, int fd, uint64_t size)
{
    struct segment_header *h = room->index->header;
    uint64_t left = room->size - room->used;
    int error = 0;

    if (room->used >= room->next_look) {
        room->next_look = room->used + LOOK_STEP;
        error = room_look(room->index, fd, left, room_between(atomic_load(&h->held), left),
                          room_between(atomic_load(&h->promised), left), room_still_fits);
    }
    if (error != 0) {
        return room_refuse(error, room->size);
    }
    size = room_least(size, left);
    room->used += size;
    atomic_fetch_sub(&h->promised, size);
    return 0;
}

static void room_give_up(struct room *room, uint64_t kept)
{
    if (room->index != NULL) {
        atomic_fetch_sub(&room->index->header->promised, room->size - room->used);
        atomic_fetch_sub(&room->index->header->held, room->size - kept);
        room->index = NULL;
    }
}

void room_keep(struct room *room)
{
    room_give_up(room, room->used);
}

void room_return(struct room *room)
{
    room_give_up(room, 0);
}
