/* SPDX-License-Identifier: BSD-3-Clause */
/* samples.c - see samples.h */
#include "samples.h"

#include <stdlib.h>
#include <string.h>

#include "answer/answer.h"
#include "answer/directory.h"
#include "base/hash.h"
#include "cache/library_record.h"
#include "cache/partial.h"

struct record *sample_make(enum record_kind kind, const char *path, size_t path_length,
                           size_t payload_size)
{
    uint32_t size = record_size_for(path_length, payload_size);
    struct record *r = calloc(1, size);

    r->size = size;
    r->kind = (uint8_t)kind;
    r->path_length = (uint16_t)path_length;
    r->payload_size = (uint32_t)payload_size;
    memcpy(r->path, path, path_length);
    return r;
}

static struct record *sample_stat(const char *path)
{
    struct record *r = sample_make(RECORD_STAT, path, strlen(path), sizeof(struct record_stat) + 6);
    struct record_stat *s = (void *)record_payload(r);

    s->link.st_mode = S_IFLNK | 0777;
    s->link.st_ino = 17;
    s->target.st_mode = S_IFREG | 0644;
    s->target.st_size = 5;
    s->target_length = 6;
    memcpy(s->target_path, "target", 6);
    return r;
}

static struct record *sample_list(const char *path)
{
    static const char *const names[] = {"__init__.py", "a", "a-name-that-is-a-little-longer.so",
                                        "b"};
    size_t head = record_round8(sizeof(struct record_list) + 8 * sizeof(uint32_t));
    size_t at = head;
    struct record *r = sample_make(RECORD_LIST, path, strlen(path), head + 24 + 16 + 48 + 16);
    struct record_list *list = (void *)record_payload(r);

    list->n_entries = 4;
    list->n_slots = 8;
    for (int i = 0; i < 4; i++) {
        struct record_list_entry *e = (void *)((char *)list + at);
        uint32_t slot = (uint32_t)fi_hash(names[i], strlen(names[i]), 0);

        e->inode = 100 + (uint64_t)i;
        e->length = (uint8_t)strlen(names[i]);
        strcpy(e->name, names[i]);
        while (list->slots[slot % 8] != 0) {
            slot++;
        }
        list->slots[slot % 8] = (uint32_t)at;
        at += record_round8(offsetof(struct record_list_entry, name) + e->length + 1u);
    }
    return r;
}

static struct record *sample_content(const char *path)
{
    static const char first[] = "/root/another/name";
    static const struct record_extent extents[] = {{0, EXTENT_ALIGN}, {2 * EXTENT_ALIGN, 11}};
    size_t at = record_extents_offset(sizeof first - 1);
    struct record *r = sample_make(RECORD_CONTENT, path, strlen(path), at + sizeof extents);
    struct record_content *c = (void *)record_payload(r);

    c->st.st_mode = S_IFREG | 0644;
    c->st.st_size = 2 * EXTENT_ALIGN + 11;
    c->size = EXTENT_ALIGN + 11;
    c->same_as = 1;
    memcpy(c->first, first, sizeof first);
    c->n_extents = 2;
    memcpy((char *)c + at, extents, sizeof extents);
    return r;
}

static struct record *sample_bytes(enum record_kind kind, const char *path, const void *bytes,
                                   size_t size)
{
    struct record *r = sample_make(kind, path, strlen(path), size);

    memcpy((void *)record_payload(r), bytes, size);
    return r;
}

struct record *sample_record(enum record_kind kind, const char *path)
{
    static const struct stat st = {.st_mode = S_IFREG | 0600, .st_size = 3};
    static const struct statx stx = {.stx_mask = STATX_BASIC_STATS, .stx_size = 3};
    static const char library[] = "A/lib/libneeded.so\0libneeded.so.1\0n1\0n2\0\0B/root/x.so\0\0";
    struct record *r;

    switch (kind) {
    case RECORD_STAT:
        r = sample_stat(path);
        break;
    case RECORD_LIST:
        r = sample_list(path);
        break;
    case RECORD_CONTENT:
        r = sample_content(path);
        break;
    case RECORD_STATX:
        r = sample_bytes(kind, path, &stx, sizeof stx);
        break;
    case RECORD_MIRROR:
        r = sample_bytes(kind, path, &st, sizeof st);
        break;
    case RECORD_LIBRARY:
        r = sample_bytes(kind, path, library, sizeof library);
        break;
    case RECORD_REALPATH:
    case RECORD_ORIGIN:
    case RECORD_ROOTS:
    case RECORD_UNSERVED:
        r = sample_bytes(kind, path, "/some/path", 11);
        break;
    default:
        r = sample_make(kind, path, strlen(path), 0);
    }
    record_seal(r);
    return r;
}

static uint64_t sum(const void *bytes, size_t size)
{
    uint64_t n = 0;

    for (size_t i = 0; i < size; i++) {
        n += ((const unsigned char *)bytes)[i];
    }
    return n;
}

static uint64_t use_stat(const struct record *r)
{
    char target[128];
    struct stat st = {0};
    uint64_t n = (uint64_t)answer_stat(r, true, &st) + (uint64_t)answer_stat(r, false, &st);
    ssize_t length = answer_readlink(r, target, sizeof target);

    return n + sum(&st, sizeof st) + (length > 0 ? sum(target, (size_t)length) : 0);
}

static uint64_t use_list(const struct record *r)
{
    static const char *const names[] = {"a", "b", "none", "__init__.py", ""};
    struct directory *d = directory_open(r);
    uint64_t n = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct record_list_entry *e = record_list_find(r, names[i]);

        n += e == NULL ? 0 : e->inode;
    }
    for (const struct dirent *e; (e = directory_read(d)) != NULL;) {
        n += strlen(e->d_name);
    }
    directory_seek(d, 2);
    directory_close(d);
    return n;
}

static uint64_t use_library(const struct record *r)
{
    struct library_item item;
    size_t at = 0;
    uint64_t n = 0;

    while (library_record_next(r, &at, &item)) {
        n += item.bits + strlen(item.path) + strlen(item.soname);
        for (const char *name = item.names; *name != '\0'; name += strlen(name) + 1) {
            n += strlen(name);
        }
    }
    return n;
}

uint64_t sample_use(const struct record *r)
{
    const struct record_content *c = record_payload(r);
    struct extents extents;
    uint64_t n = sum(r->path, r->path_length + 1u) + sum(record_payload(r), r->payload_size);

    if (r->kind == RECORD_MIRROR || r->kind == RECORD_ORIGIN || r->kind == RECORD_ROOTS ||
        r->kind == RECORD_UNSERVED) {
        return n +
               (r->kind == RECORD_MIRROR ? sum(c, sizeof(struct stat)) : strlen(record_payload(r)));
    }
    if (r->error != 0 || (r->flags & RECORD_UNAVAILABLE) != 0) {
        return n;
    }
    switch ((enum record_kind)r->kind) {
    case RECORD_STAT:
        return n + use_stat(r);
    case RECORD_LIST:
        return n + use_list(r);
    case RECORD_CONTENT:
        extents = extents_of(r);
        return n + sum(&c->st, sizeof c->st) + c->size + (c->same_as ? strlen(c->first) : 0) +
               extents_total(&extents);
    case RECORD_STATX:
        return n + sum(c, sizeof(struct statx));
    case RECORD_LIBRARY:
        return n + use_library(r);
    case RECORD_REALPATH:
        return n + strlen(record_payload(r));
    default:
        return n;
    }
}
