/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * room.h - is there room in the node's memory for one more file of the mirror?
 *
 * Memory must never be the reason for a job's death. The files of a tmpfs cannot be taken back by
 * the kernel, but the page cache of a plain run can. So what does not fit is not kept; its readers
 * use the file system, as in a plain run. There is room as long as
 *
 * - the mirror has at most an eighth of each limit (policy/memory_limits.h): the rest is for the
 *   program, which grows after its start;
 * - a quarter of each limit is free, at most 4 GiB, by what is in use now;
 * - a tenth of the file system is free, at most 1 GiB: MPI libraries need shared memory, too.
 *
 * The largest files go first: one of more than 1 MiB is kept only if it leaves at least as much
 * room as it takes. So many small files are kept where one large one is not.
 *
 * Each process decides by its own limits, and so each node does. Limits are read again before each
 * file of more than 1 MiB, during the writing of a large one, and else after a second or after an
 * eighth of the room has been used.
 *
 * Calling order: room_take(), room_use() for what is written, room_keep() or room_return(). Errors:
 * -ENOSPC if the file system has no room, -ENOBUFS if memory has none. A refusal is counted for the
 * report. Thread rules: any thread; a struct room belongs to one.
 */
#ifndef FASTIMPORT_CACHE_ROOM_H
#define FASTIMPORT_CACHE_ROOM_H

#include "cache/segment.h"
#include "policy/memory_limits.h"

struct room {
    struct segment *index;
    uint64_t size;      /* bytes that were asked for */
    uint64_t used;      /* bytes of them that have been written */
    uint64_t next_look; /* with so many written, look again */
};

/* How many bytes more may the mirror have, if it has `held` now? UINT64_MAX: no limit is known. A
 * pure function. */
uint64_t room_under(const struct memory_limit *limits, size_t n, uint64_t held);

/* Is less than an eighth of a limit free, and less than 2 GiB? A pure function. */
bool room_is_tight(const struct memory_limit *limits, size_t n);

/* Is a file kept if there is so much room? A pure function. */
bool room_fits(uint64_t size, uint64_t room);

/* fd: a file of the mirror's file system. */
int room_take(struct room *room, struct segment *index, int fd, uint64_t size);
/* `size` bytes more are about to be written. Fails if the room has become too small meanwhile. */
int room_use(struct room *room, int fd, uint64_t size);
/* The file stays. */
void room_keep(struct room *room);
/* The file is removed again. */
void room_return(struct room *room);

#endif
