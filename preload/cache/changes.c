/* SPDX-License-Identifier: BSD-3-Clause */
/* changes.c - see changes.h */
#include "cache/changes.h"

#include <string.h>

#include "base/path.h"
#include "base/sys.h"

/* the payload of a CHANGE_INODE record */
struct change_inode {
    struct stat st;
    char path[]; /* NUL-terminated */
};

struct change_name {
    uint64_t directory;
    char name[FI_NAME_MAX + 1];
};

static const struct record *changes_find(const struct node_cache *node, enum change_key kind,
                                         const void *key, size_t length)
{
    struct fi_query q = query_make(RECORD_STALE, kind, key, length);

    return segment_find(&node->index, &q);
}

static bool changes_covers(const struct record *r, enum change_extent extent)
{
    return r != NULL && (record_flags(r) & extent) == extent;
}

bool changes_may_be_missed(const struct node_cache *node)
{
    const struct segment_header *h = node->index.header;
    int64_t silence_ns = atomic_load_explicit(&h->silence_ns, memory_order_relaxed);
    int64_t heard_ns;

    if (silence_ns == 0) {
        return false;
    }
    heard_ns = atomic_load_explicit(&h->heard_ns, memory_order_relaxed);
    return !segment_is_answered(&node->index) ||
           (heard_ns != 0 && sys_now_ns() - heard_ns > silence_ns);
}

bool changes_are_lost(const struct node_cache *node)
{
    return atomic_load_explicit(&node->index.header->lost_changes, memory_order_relaxed) != 0;
}

void changes_mark_lost(struct node_cache *node)
{
    atomic_store(&node->index.header->lost_changes, 1);
    atomic_fetch_add(&node->index.header->invalidations, 1);
}

bool change_of_path(const struct node_cache *node, const char *path, size_t length,
                    enum change_extent extent)
{
    return changes_covers(changes_find(node, CHANGE_PATH, path, length), extent);
}

bool change_of_inode(const struct node_cache *node, ino_t inode, enum change_extent extent)
{
    uint64_t key = inode;

    return changes_covers(changes_find(node, CHANGE_INODE, &key, sizeof key), extent);
}

static size_t name_key(struct change_name *key, ino_t directory, const char *name, size_t length)
{
    length = length > FI_NAME_MAX ? FI_NAME_MAX : length;
    key->directory = directory;
    memcpy(key->name, name, length);
    return offsetof(struct change_name, name) + length;
}

bool change_of_name(const struct node_cache *node, ino_t directory, const char *name, size_t length)
{
    struct change_name key;
    size_t n = name_key(&key, directory, name, length);

    return changes_find(node, CHANGE_NAME, &key, n) != NULL;
}

static bool changes_note(struct node_cache *node, enum change_key kind, const void *key,
                         size_t length, uint8_t flags, const void *payload, size_t payload_size)
{
    struct fi_query q = query_make(RECORD_STALE, kind, key, length);

    return segment_add(&node->index, &q, RECORD_LOCAL | flags, payload, payload_size) != NULL;
}

bool change_note_path(struct node_cache *node, const char *path, size_t length,
                      enum change_extent extent)
{
    return changes_covers(changes_find(node, CHANGE_PATH, path, length), extent) ||
           changes_note(node, CHANGE_PATH, path, length, (uint8_t)extent, "", 0);
}

bool change_note_name(struct node_cache *node, ino_t directory, const char *name, size_t length)
{
    struct change_name key;
    size_t n = name_key(&key, directory, name, length);

    return changes_find(node, CHANGE_NAME, &key, n) != NULL ||
           changes_note(node, CHANGE_NAME, &key, n, 0, "", 0);
}

static const struct change_inode *inode_payload(const struct record *r)
{
    const struct change_inode *c = record_payload(r);

    return r->payload_size > sizeof *c && c->path[r->payload_size - sizeof *c - 1] == '\0' ? c
                                                                                           : NULL;
}

bool change_note_inode(struct node_cache *node, const struct stat *st, const char *path,
                       enum change_extent extent)
{
    struct {
        struct stat st;
        char path[FI_PATH_MAX];
    } payload;
    uint64_t key = st->st_ino;
    size_t n = strnlen(path, sizeof payload.path - 1);
    const struct record *known = changes_find(node, CHANGE_INODE, &key, sizeof key);
    const struct change_inode *c = known == NULL ? NULL : inode_payload(known);
    uint8_t flags = (uint8_t)(extent | (known == NULL ? 0 : record_flags(known) & RECORD_TREE));

    if (changes_covers(known, flags) && c != NULL && n > 0 && strcmp(c->path, path) == 0) {
        return true;
    }
    payload.st = *st;
    memcpy(payload.path, path, n);
    payload.path[n] = '\0';
    return changes_note(node, CHANGE_INODE, &key, sizeof key, flags, &payload,
                        offsetof(__typeof__(payload), path) + n + 1);
}

static const struct change_inode *changed_inode(const struct node_cache *node, ino_t inode)
{
    uint64_t key = inode;
    const struct record *r = changes_find(node, CHANGE_INODE, &key, sizeof key);

    return r == NULL ? NULL : inode_payload(r);
}

static bool is_at(const struct change_inode *c, ino_t inode, struct stat *now)
{
    return c->path[0] != '\0' && sys_stat(c->path, now) == 0 && now->st_ino == inode;
}

bool change_is_there(const struct node_cache *node, ino_t inode)
{
    const struct change_inode *c = changed_inode(node, inode);
    struct stat now;

    return c != NULL && is_at(c, inode, &now);
}

const char *change_place(const struct node_cache *node, ino_t inode)
{
    const struct change_inode *c = changed_inode(node, inode);

    return c == NULL || c->path[0] == '\0' ? NULL : c->path;
}

bool change_current(const struct node_cache *node, const struct stat *original, struct stat *now)
{
    const struct change_inode *c = changed_inode(node, original->st_ino);
    struct stat st;

    if (c == NULL) {
        return false;
    }
    *now = is_at(c, original->st_ino, &st) ? st : c->st;
    return true;
}

bool change_note_live(struct node_cache *node, const char *path, size_t length, ino_t inode)
{
    struct stat st = {.st_ino = inode, .st_mode = S_IFDIR};

    return change_note_path(node, path, length, CHANGE_TREE) &&
           (inode == 0 || change_note_inode(node, &st, path, CHANGE_TREE));
}
