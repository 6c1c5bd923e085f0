/* SPDX-License-Identifier: BSD-3-Clause */
/* directory.c - see directory.h */
#include "answer/directory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

static const uint64_t magic = 0xfa57d1a4fa57d1a4;

enum { STREAMS = 64, MOST_NAPS = 1000, NAP_NS = 100000 };

/* The open streams, as many as there is room for. While directory_open_originals() uses a stream
 * its slot holds `busy`. */
static _Atomic(struct directory *) streams[STREAMS];
static struct directory busy;

static int directory_enter(struct directory *d)
{
    for (int i = 0; i < STREAMS; i++) {
        struct directory *free_slot = NULL;

        if (atomic_compare_exchange_strong(&streams[i], &free_slot, d)) {
            return i;
        }
    }
    return -1;
}

/* Takes the stream out of the table. Returns false if another thread was using it when this process
 * was forked: that thread does not exist here and will never put it back. */
static bool directory_leave(struct directory *d)
{
    for (int i = 0; d->slot >= 0 && i < MOST_NAPS; i++) {
        struct directory *expected = d;

        if (atomic_compare_exchange_strong(&streams[d->slot], &expected, NULL)) {
            return true;
        }
        sys_nap_ns(NAP_NS);
    }
    return d->slot < 0;
}

void directory_open_originals(void)
{
    for (int i = 0; i < STREAMS; i++) {
        struct directory *d = atomic_load(&streams[i]);

        if (d != NULL && d != &busy && atomic_compare_exchange_strong(&streams[i], &d, &busy)) {
            directory_fd(d);
            atomic_store(&streams[i], d);
        }
    }
}

struct directory *directory_open(const struct record *list)
{
    struct directory *d = malloc(sizeof *d);

    if (d != NULL) {
        *d = (struct directory){.magic = magic, .list = list, .fd = -1};
        d->slot = directory_enter(d);
    }
    return d;
}

struct directory *directory_of(DIR *dir)
{
    struct directory *d = (struct directory *)dir;

    return d != NULL && d->magic == magic ? d : NULL;
}

struct dirent *directory_read(struct directory *d)
{
    const struct record_list_entry *e = d->ended ? NULL : record_list_next(d->list, d->at);

    if (e == NULL) {
        d->ended = true;
        return NULL;
    }
    d->at = e;
    d->position++;
    d->entry.d_ino = e->inode;
    d->entry.d_off = d->position;
    d->entry.d_reclen =
        (unsigned short)((offsetof(struct dirent, d_name) + e->length + 1u + 7) & ~7u);
    d->entry.d_type = e->type;
    memcpy(d->entry.d_name, e->name, e->length + 1u);
    return &d->entry;
}

void directory_seek(struct directory *d, long position)
{
    d->at = NULL;
    d->position = 0;
    d->ended = false;
    while (d->position < position && directory_read(d) != NULL) {
    }
}

int directory_fd(struct directory *d)
{
    int fd = atomic_load(&d->fd);
    int none = -1;

    if (fd >= 0) {
        return fd;
    }
    fd = sys_open(d->list->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd >= 0 && !atomic_compare_exchange_strong(&d->fd, &none, fd)) {
        sys_close(fd);
        return none;
    }
    return fd;
}

void directory_close(struct directory *d)
{
    if (!directory_leave(d)) {
        return;
    }
    if (d->fd >= 0) {
        sys_close(d->fd);
    }
    d->magic = 0;
    free(d);
}
