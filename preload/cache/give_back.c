/* SPDX-License-Identifier: BSD-3-Clause */
/* give_back.c - see give_back.h */
#include "cache/give_back.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/path.h"
#include "base/sys.h"
#include "cache/library_record.h"
#include "cache/mirror.h"

static uint8_t hiding_flags(enum give_back_how how)
{
    return RECORD_UNAVAILABLE | (how == GIVE_BACK_HERE ? RECORD_LOCAL : RECORD_GIVEN_BACK);
}

/* --- the index --- */

static bool is_answer(const struct record *r)
{
    return r != NULL && r->error == 0 && (record_flags(r) & RECORD_UNAVAILABLE) == 0;
}

/* Publishes a record that hides an answer. True: no answer is there any more. */
static bool give_back_hide(struct node_cache *node, const struct fi_query *q, uint8_t flags)
{
    struct record *r;

    if (!is_answer(segment_find(&node->index, q))) {
        return true;
    }
    r = segment_allocate(&node->index, q->length, 0);
    if (r == NULL) {
        return false;
    }
    r->kind = (uint8_t)q->kind;
    r->argument = q->argument;
    r->flags = flags;
    r->error = (flags & RECORD_GIVEN_BACK) != 0 ? 0 : ENOBUFS;
    memcpy(r->path, q->path, q->length);
    record_seal(r);
    segment_publish(&node->index, r);
    return true;
}

/* A file may be the content of two questions: all bytes, and those that ld.so maps. */
static bool give_back_hide_content(struct node_cache *node, const char *path, size_t length,
                                   uint8_t flags)
{
    struct fi_query all = query_make(RECORD_CONTENT, 0, path, length);
    struct fi_query mapped = query_make(RECORD_CONTENT, RECORD_MAPPED, path, length);

    return give_back_hide(node, &all, flags) && give_back_hide(node, &mapped, flags);
}

/* --- the file --- */

/* Gets a lease on the only descriptor of a file. False: others have it open or mapped. */
static bool take_lease(int fd)
{
    struct f_owner_ex owner = {F_OWNER_TID, sys_gettid()};

    /* by default the signal would go to the process, which it would end */
    return sys_fcntl(fd, F_SETOWN_EX, (long)&owner) == 0 && sys_fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
}

static void subtract(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t before = atomic_load(counter);

    while (!atomic_compare_exchange_weak(counter, &before, before > n ? before - n : 0)) {
    }
}

static void give_back_count(struct node_cache *node, const struct stat *st)
{
    uint64_t blocks = (uint64_t)st->st_blocks * 512;
    uint64_t size = (uint64_t)st->st_size < blocks ? (uint64_t)st->st_size : blocks;

    count_add(&fi_count->files_given_back, 1);
    if (st->st_nlink == 1) { /* else the bytes stay under another name */
        count_add(&fi_count->bytes_given_back, size);
        subtract(&node->index.header->content_bytes, size);
        subtract(&node->index.header->held, size);
    }
}

/* The file that holds the bytes of a content. */
static bool give_back_name(const struct node_cache *node, const struct record *content,
                           char name[MIRROR_PATH_MAX])
{
    return mirror_copy_path(node, content->path, extents_version_of(content), name,
                            MIRROR_PATH_MAX);
}

/* False: the file is in use, or there is none. */
static bool give_back_file(struct node_cache *node, const struct record *content, uint8_t flags)
{
    char name[MIRROR_PATH_MAX];
    struct stat st;
    bool done = false;
    int fd = give_back_name(node, content, name)
                 ? sys_open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0)
                 : -ENAMETOOLONG;

    if (fd < 0) {
        return false;
    }
    if (sys_fstat(fd, &st) == 0 && take_lease(fd) &&
        give_back_hide_content(node, content->path, content->path_length, flags) &&
        sys_unlink(name) == 0) {
        give_back_count(node, &st);
        done = true;
    }
    /* closing does not end the lease if a child of this moment has inherited the descriptor */
    sys_fcntl(fd, F_SETLEASE, F_UNLCK);
    sys_close(fd);
    return done;
}

/* --- the walk --- */

void give_back_begin(struct give_back *g, struct node_cache *node, enum give_back_how how)
{
    *g = (struct give_back){.node = node,
                            .how = how,
                            .position = segment_arena_start(&node->index),
                            .end = atomic_load(&node->index.header->tail)};
}

/* Has the plan brought this, and the program has not come to ask for it yet? */
static bool is_expected(const struct record *r)
{
    return (record_flags(r) & (RECORD_PLANNED | RECORD_USED)) == RECORD_PLANNED;
}

/* May this content be given back? It must be the present answer, and the root's own. */
static bool may_be_given_back(const struct give_back *g, const struct record *r)
{
    const struct segment *s = &g->node->index;
    struct fi_query q = query_make((enum record_kind)r->kind, r->argument, r->path, r->path_length);

    if (!is_answer(r) || segment_find(s, &q) != r) {
        return false;
    }
    return g->how == GIVE_BACK_HERE || ((record_flags(r) & RECORD_LOCAL) == 0 && !is_expected(r) &&
                                        !segment_was_given_back(s, &q));
}

/* Was there a content of this path which is gone now? */
static bool lacks_content(const struct give_back *g, const char *path)
{
    const struct segment *s = &g->node->index;
    static const uint64_t arguments[] = {RECORD_MAPPED, 0};
    struct fi_path name;
    bool was_there = false;

    if (!path_normalise(&name, "/", path) || !path_fold(&name, path_any_directory, NULL)) {
        return false;
    }
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++) {
        struct fi_query q = query_make(RECORD_CONTENT, arguments[i], name.text, name.length);

        if (is_answer(segment_find(s, &q))) {
            return false;
        }
        was_there |= segment_was_given_back(s, &q) ||
                     (g->how == GIVE_BACK_HERE && segment_find(s, &q) != NULL);
    }
    return was_there;
}

static bool library_lacks_file(const struct give_back *g, const struct record *r)
{
    struct library_item item;
    size_t at = 0;

    while (library_record_next(r, &at, &item)) {
        if ((item.bits & LIBRARY_OURS) != 0 && lacks_content(g, item.path)) {
            return true;
        }
    }
    return false;
}

/* Returns how much of the work of a step it was. */
static int give_back_record(struct give_back *g, const struct record *r)
{
    struct fi_query q = query_make((enum record_kind)r->kind, r->argument, r->path, r->path_length);

    if (!g->libraries && r->kind == RECORD_CONTENT && may_be_given_back(g, r)) {
        give_back_file(g->node, r, hiding_flags(g->how));
        return 1;
    }
    if (g->libraries && r->kind == RECORD_LIBRARY && is_answer(r) &&
        segment_find(&g->node->index, &q) == r && library_lacks_file(g, r)) {
        give_back_hide(g->node, &q, hiding_flags(g->how));
        return 1;
    }
    return 0;
}

bool give_back_some(struct give_back *g, int contents)
{
    const struct segment *s = &g->node->index;

    while (contents > 0) {
        const struct record *r = g->position < g->end ? segment_walk_whole(s, &g->position) : NULL;

        if (r != NULL) {
            contents -= give_back_record(g, r);
        } else if (!g->libraries) {
            g->libraries = true;
            g->position = segment_arena_start(s);
        } else {
            return false;
        }
    }
    return true;
}

void give_back_received(struct node_cache *node, const struct record *r)
{
    struct fi_query q = query_make((enum record_kind)r->kind, r->argument, r->path, r->path_length);
    const struct record *present = segment_find(&node->index, &q);
    char name[MIRROR_PATH_MAX];

    if (!is_answer(present)) {
        return; /* it went with the other question of its file, or was never kept here */
    }
    if (r->kind != RECORD_CONTENT ||
        (!give_back_file(node, present, r->flags) && give_back_name(node, present, name) &&
         sys_access(name, 0, false) != 0)) {
        give_back_hide(node, &q, r->flags);
    }
}
