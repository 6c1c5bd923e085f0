/* SPDX-License-Identifier: BSD-3-Clause */
/* lookup.c - see lookup.h */
#include "fill/lookup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs_view.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/mirror.h"
#include "fill/claim.h"
#include "fill/copy.h"
#include "fill/listing.h"

static lookup_library_fn *look_up_library; /* set once, before threads ask */

void lookup_set_library(lookup_library_fn *look_up)
{
    look_up_library = look_up;
}

struct lookup {
    struct node_cache *node;
    const struct fi_query *query;
    uint8_t flags;
    const struct lookup_limits *limits;
};

/* Allocates the record and fills in its key. */
static struct record *lookup_begin(const struct lookup *l, size_t payload_size)
{
    struct record *r = segment_allocate(&l->node->index, l->query->length, payload_size);

    if (r != NULL) {
        r->kind = (uint8_t)l->query->kind;
        r->argument = l->query->argument;
        r->flags = l->flags;
        memcpy(r->path, l->query->path, l->query->length);
    }
    return r;
}

static const struct record *lookup_unavailable(const struct lookup *l, int reason);

/* Publishes the record. If the mount view has changed, what was found may be a different file of
 * the same name: it is no answer, and the record is abandoned. */
static const struct record *lookup_finish(const struct lookup *l, struct record *r)
{
    if (!fs_view_is_certain() && (r->flags & RECORD_UNAVAILABLE) == 0) {
        segment_abandon(&l->node->index, r);
        return l->query->kind == RECORD_ORIGIN ? NULL : lookup_unavailable(l, 0);
    }
    record_seal(r);
    segment_publish(&l->node->index, r);
    return r;
}

/* Does this errno say something about the path? Others are about this process (EMFILE) or this
 * moment (EIO, ESTALE, EINTR), and must not be sent to other processes. */
static bool is_about_path(int error)
{
    static const int answers[] = {0,     ENOENT,       ENOTDIR, EACCES, EPERM,
                                  ELOOP, ENAMETOOLONG, EINVAL,  EROFS};

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (error == answers[i]) {
            return true;
        }
    }
    return false;
}

/* Publishes an answer without a payload: 0, or an errno (positive, as the record holds it). */
static const struct record *lookup_publish_error(const struct lookup *l, int error,
                                                 uint8_t more_flags)
{
    struct record *r = lookup_begin(l, 0);

    if (r == NULL) {
        return NULL;
    }
    if (!is_about_path(error)) {
        error = 0;
        more_flags |= RECORD_UNAVAILABLE;
    }
    r->error = error;
    r->flags |= more_flags;
    return lookup_finish(l, r);
}

/* Publishes that the cache has no answer. reason: an errno for the user, or 0. */
static const struct record *lookup_unavailable(const struct lookup *l, int reason)
{
    struct record *r = lookup_begin(l, 0);

    if (r == NULL) {
        return NULL;
    }
    r->error = reason;
    r->flags |= RECORD_UNAVAILABLE;
    return lookup_finish(l, r);
}

static const struct record *lookup_publish(const struct lookup *l, const void *bytes, size_t size)
{
    struct record *r = lookup_begin(l, size);

    if (r == NULL) {
        return NULL;
    }
    memcpy((void *)record_payload(r), bytes, size);
    return lookup_finish(l, r);
}

static const struct record *look_stat(const struct lookup *l)
{
    union { /* the record's flexible member needs room behind it */
        struct record_stat head;
        char bytes[sizeof(struct record_stat) + FI_PATH_MAX];
    } a = {.bytes = {0}};
    ssize_t n;
    int error = sys_lstat(l->query->path, &a.head.link);

    if (error != 0) {
        return lookup_publish_error(l, -error, 0);
    }
    if (S_ISLNK(a.head.link.st_mode)) {
        a.head.stat_error = -sys_stat(l->query->path, &a.head.target);
        n = sys_readlink(l->query->path, a.head.target_path, FI_PATH_MAX);
        if (n < 0 || n == FI_PATH_MAX || !is_about_path(a.head.stat_error)) {
            return lookup_unavailable(l, 0);
        }
        a.head.target_length = (uint32_t)n;
    }
    _Static_assert(offsetof(struct record_stat, target_path) == sizeof(struct record_stat),
                   "the target follows at once");
    return lookup_publish(l, &a, sizeof a.head + a.head.target_length);
}

static const struct record *look_access(const struct lookup *l)
{
    int mode = (int)(l->query->argument & 7);

    return lookup_publish_error(
        l, -sys_access(l->query->path, mode, (l->query->argument & RECORD_EFFECTIVE) != 0), 0);
}

static const struct record *look_statx(const struct lookup *l)
{
    struct statx stx;
    int error = sys_statx(AT_FDCWD, l->query->path, (int)(l->query->argument >> 32),
                          (unsigned)l->query->argument, &stx);

    return error != 0 ? lookup_publish_error(l, -error, 0) : lookup_publish(l, &stx, sizeof stx);
}

/* The kernel resolves the name: an O_PATH descriptor opens nothing at the server, and /proc/self/fd
 * shows its path. */
static const struct record *look_realpath(const struct lookup *l)
{
    char link[64];
    char real[FI_PATH_MAX];
    ssize_t n;
    int fd = sys_open(l->query->path, O_PATH | O_CLOEXEC, 0);

    if (fd < 0) {
        return lookup_publish_error(l, -fd, 0);
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = sys_readlink(link, real, sizeof real - 1);
    sys_close(fd);
    if (n <= 0 || real[0] != '/') {
        return lookup_unavailable(l, 0);
    }
    real[n] = '\0';
    return lookup_publish(l, real, (size_t)n + 1);
}

/* --- directory listings --- */

static const struct record *publish_listing(const struct lookup *l, const struct listing *raw)
{
    uint32_t entries;
    uint32_t slots = 8;
    size_t bytes;
    size_t head;
    struct record *r;
    struct record_list *list;

    listing_measure(raw, &entries, &bytes);
    while (slots < entries * 2) {
        slots *= 2;
    }
    head = record_round8(sizeof *list + slots * sizeof list->slots[0]);
    if (head + bytes > UINT32_MAX) {
        return lookup_unavailable(l, 0);
    }
    r = lookup_begin(l, head + bytes);
    if (r == NULL) {
        return NULL;
    }
    list = (struct record_list *)record_payload(r);
    list->n_entries = entries;
    list->n_slots = slots;
    listing_encode(raw, list, head);
    return lookup_finish(l, r);
}

static const struct record *look_list(const struct lookup *l)
{
    struct listing raw = {0};
    const struct record *r;
    int fd = sys_open(l->query->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
    int error;

    if (fd < 0) {
        return lookup_publish_error(l, -fd, 0);
    }
    error = listing_read(fd, &raw);
    sys_close(fd);
    r = error != 0 ? lookup_unavailable(l, 0) : publish_listing(l, &raw);
    free(raw.bytes);
    return r;
}

/* --- contents of files --- */

enum { OTHER_NAME_SLICE_NS = 1000000, OTHER_NAME_WAIT_NS = 2000000000 };

/* Publishes that the mirror has the bytes of this path: `size` of them, or as another name of
 * `first` if that is not NULL. */
static const struct record *publish_content(const struct lookup *l, const struct stat *st,
                                            uint64_t size, const struct extents *parts,
                                            const char *first)
{
    size_t n = first == NULL ? 0 : strlen(first);
    size_t list = parts->n * sizeof *parts->list;
    struct record *r = lookup_begin(l, list > 0 ? record_extents_offset(n) + list
                                                : sizeof(struct record_content) + n + 1);
    struct record_content *c;

    if (r == NULL) {
        return NULL;
    }
    c = (struct record_content *)record_payload(r);
    c->st = *st;
    c->size = size;
    c->same_as = first != NULL;
    c->n_extents = parts->n;
    memcpy(c->first, first == NULL ? "" : first, n + 1);
    if (list > 0) {
        memcpy((char *)c + record_extents_offset(n), parts->list, list);
    }
    return lookup_finish(l, r);
}

static struct fi_query origin_query(const struct lookup *l, const uint64_t key[2])
{
    return query_make(RECORD_ORIGIN, l->query->argument, (const char *)key, 2 * sizeof *key);
}

static void remember_origin(const struct lookup *l, const struct stat *st)
{
    uint64_t key[2] = {st->st_dev, st->st_ino};
    struct fi_query q = origin_query(l, key);
    struct lookup local = {l->node, &q, RECORD_LOCAL, l->limits};

    lookup_publish(&local, l->query->path, l->query->length + 1);
}

static const struct record *mirror_file(const struct lookup *l, int fd, const struct stat *st)
{
    struct mapped copied;
    struct extents parts;
    int error = copy_into_mirror(l->node, l->query, fd, st, &copied);
    const struct record *r;

    if (error != 0) {
        mirror_tell_no_room(l->node, l->query->path, error);
        return lookup_unavailable(l, -error);
    }
    count_add(&fi_count->files_read, 1);
    count_add(&fi_count->bytes_read, copied.size);
    parts = (struct extents){copied.extents, copied.n};
    r = publish_content(l, st, copied.size, &parts, NULL);
    free(copied.extents);
    remember_origin(l, st);
    return r;
}

/* The record of the copy that the mirror has under this name; NULL if it has none. */
static const struct record *known_copy(const struct lookup *l, uint64_t argument, const char *path)
{
    struct fi_query q = query_make(RECORD_CONTENT, argument, path, strlen(path));
    const struct record *r = segment_find(&l->node->index, &q);

    return r == NULL || r->error != 0 || (record_flags(r) & RECORD_UNAVAILABLE) != 0 ? NULL : r;
}

/* If the mirror already has the file under another name, this name becomes a hard link to it. */
static const struct record *link_to_origin(const struct lookup *l, const struct stat *st,
                                           const struct fi_query *origin)
{
    const struct record *found = segment_find(&l->node->index, origin);
    const char *first = found == NULL ? NULL : record_payload(found);
    const struct record *copy = first == NULL ? NULL : known_copy(l, l->query->argument, first);
    struct extents parts = extents_of(copy);
    uint64_t version = extents_version(&parts, st);

    if (copy == NULL || strcmp(first, l->query->path) == 0 || version != extents_version_of(copy) ||
        mirror_link(l->node, first, l->query->path, version) != 0) {
        return NULL;
    }
    return publish_content(l, st, 0, &parts, first);
}

/* Is there a partial copy of the file? Who opens the file gets the original then: the rest of it is
 * large, and hardly anybody will want it. */
static bool is_partial_library(const struct lookup *l, const uint64_t key[2])
{
    struct fi_query q =
        query_make(RECORD_ORIGIN, RECORD_MAPPED, (const char *)key, 2 * sizeof *key);
    const struct record *found =
        l->query->argument == RECORD_MAPPED ? NULL : segment_find(&l->node->index, &q);
    const struct record *copy =
        found == NULL ? NULL : known_copy(l, RECORD_MAPPED, record_payload(found));

    return extents_version_of(copy) != 0;
}

/* Claims the file itself, so that two of its names that are looked up at the same time are read
 * only once. Waits for the other look-up as long as it makes progress. */
static bool claim_origin(struct claim *claim, const struct lookup *l, const struct fi_query *origin)
{
    struct segment *s = &l->node->index;
    struct claim_watch other = claim_watch(s, origin->hash);

    while (!claim_take(claim, s, origin->hash)) {
        if (!claim_is_alive(&other, OTHER_NAME_WAIT_NS)) {
            return false;
        }
        segment_wait(s, atomic_load(&s->header->generation), OTHER_NAME_SLICE_NS);
    }
    return true;
}

/* The job sees one snapshot. If a content was given back and its file has changed since, it is not
 * the answer any more: the real call is made. */
static bool is_same_snapshot(const struct lookup *l, const struct stat *st)
{
    const struct record *r = segment_find_past(&l->node->index, l->query);
    const struct record_content *c;

    if (r == NULL || r->error != 0 || (record_flags(r) & RECORD_UNAVAILABLE) != 0) {
        return true;
    }
    c = record_payload(r);
    return c->st.st_ino == st->st_ino && c->st.st_size == st->st_size &&
           c->st.st_mtim.tv_sec == st->st_mtim.tv_sec &&
           c->st.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

static const struct record *content_of(const struct lookup *l, int fd)
{
    struct stat st;
    uint64_t key[2];
    struct fi_query origin;
    const struct record *r;
    struct claim claim;
    bool mine;

    if (sys_fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return lookup_unavailable(l, 0);
    }
    if ((uint64_t)st.st_size > l->limits->max_file) {
        return lookup_unavailable(l, EFBIG);
    }
    if (!is_same_snapshot(l, &st)) {
        return lookup_unavailable(l, 0);
    }
    key[0] = st.st_dev;
    key[1] = st.st_ino;
    if (is_partial_library(l, key)) {
        return lookup_unavailable(l, 0);
    }
    origin = origin_query(l, key);
    mine = claim_origin(&claim, l, &origin);
    r = link_to_origin(l, &st, &origin);
    if (r == NULL) {
        r = mirror_file(l, fd, &st);
    }
    if (mine) {
        claim_drop(&claim);
    }
    return r;
}

static const struct record *look_content(const struct lookup *l)
{
    const struct record *r;
    int fd = sys_open(l->query->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0) {
        return lookup_publish_error(l, -fd, 0);
    }
    r = content_of(l, fd);
    sys_close(fd);
    return r;
}

const struct record *lookup_real(struct node_cache *node, const struct fi_query *query,
                                 uint8_t flags, const struct lookup_limits *limits)
{
    struct lookup l = {node, query, flags, limits};
    int64_t start = sys_now_ns();
    const struct record *r;

    count_add(&fi_count->lookups, 1);
    switch (query->kind) {
    case RECORD_STAT:
        r = look_stat(&l);
        break;
    case RECORD_ACCESS:
        r = look_access(&l);
        break;
    case RECORD_STATX:
        r = look_statx(&l);
        break;
    case RECORD_LIST:
        r = look_list(&l);
        break;
    case RECORD_REALPATH:
        r = look_realpath(&l);
        break;
    case RECORD_CONTENT:
        r = look_content(&l);
        break;
    case RECORD_LIBRARY:
        r = look_up_library != NULL ? look_up_library(node, query, flags)
                                    : lookup_unavailable(&l, 0);
        break;
    default:
        r = lookup_unavailable(&l, 0);
    }
    count_add(&fi_count->fs_ns, (uint64_t)(sys_now_ns() - start));
    return r;
}
