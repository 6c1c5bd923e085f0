/* SPDX-License-Identifier: BSD-3-Clause */
/* answer.c - see answer.h */
#include "answer/answer.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cache/changes.h"
#include "cache/mirror.h"

int answer_stat(const struct record *r, bool follow, struct stat *st)
{
    const struct record_stat *s = record_payload(r);

    if (!follow || !S_ISLNK(s->link.st_mode)) {
        *st = s->link;
        return 0;
    }
    if (s->stat_error == 0) {
        *st = s->target;
    }
    return -s->stat_error;
}

ssize_t answer_readlink(const struct record *r, char *buf, size_t size)
{
    const struct record_stat *s = record_payload(r);

    if (!S_ISLNK(s->link.st_mode) || size == 0) {
        return -EINVAL;
    }
    if (size > s->target_length) {
        size = s->target_length;
    }
    memcpy(buf, s->target_path, size);
    return (ssize_t)size;
}

bool answer_mirror(const struct node_cache *node, const struct record *r, char *name, size_t size)
{
    return mirror_copy_path(node, r->path, extents_version_of(r), name, size);
}

void answer_fstat(const struct node_cache *node, struct stat *st)
{
    const struct stat *original = mirror_original(node, st);

    if (original != NULL && !(change_any(node) && change_current(node, original, st))) {
        *st = *original;
    }
}

static struct statx_timestamp answer_timestamp(struct timespec t)
{
    return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (unsigned)t.tv_nsec};
}

void answer_fstatx(const struct node_cache *node, struct statx *stx)
{
    struct stat key = {.st_dev = makedev(stx->stx_dev_major, stx->stx_dev_minor),
                       .st_ino = stx->stx_ino};
    const struct stat *st = mirror_original(node, &key);
    struct stat now;

    if (st == NULL) {
        return;
    }
    if (change_any(node) && change_current(node, st, &now)) {
        st = &now;
    }
    stx->stx_mask &= STATX_BASIC_STATS;
    stx->stx_blksize = (unsigned)st->st_blksize;
    stx->stx_nlink = (unsigned)st->st_nlink;
    stx->stx_uid = st->st_uid;
    stx->stx_gid = st->st_gid;
    stx->stx_mode = (unsigned short)st->st_mode;
    stx->stx_ino = st->st_ino;
    stx->stx_size = (unsigned long long)st->st_size;
    stx->stx_blocks = (unsigned long long)st->st_blocks;
    stx->stx_atime = answer_timestamp(st->st_atim);
    stx->stx_mtime = answer_timestamp(st->st_mtim);
    stx->stx_ctime = answer_timestamp(st->st_ctim);
    stx->stx_dev_major = major(st->st_dev);
    stx->stx_dev_minor = minor(st->st_dev);
}
