/* directory.c - see directory.h */
#include "answer/directory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

static const uint64_t magic = 0xfa57d1a4fa57d1a4;

struct directory *directory_open(const struct record *list)
{
    struct directory *d = malloc(sizeof *d);

    if (d != NULL) {
        *d = (struct directory){.magic = magic, .list = list, .fd = -1};
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
    d->entry.d_reclen = (unsigned short)((offsetof(struct dirent, d_name) + e->length + 1u + 7) & ~7u);
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
    if (d->fd < 0) {
        d->fd = sys_open(d->list->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
    }
    return d->fd;
}

void directory_close(struct directory *d)
{
    if (d->fd >= 0) {
        sys_close(d->fd);
    }
    d->magic = 0;
    free(d);
}
