/* SPDX-License-Identifier: BSD-3-Clause */
/* segment.c - see segment.h */
#include "cache/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "policy/memory_limits.h"

static const uint64_t magic = 0x31545249504d4946; /* "FIMPIRT1" in memory */

enum {
    RESERVE_STEP = 1 << 20,
    LONGEST_CHAIN = 1 << 16, /* a full segment has about 250 records in a bucket: more is a loop */
    CHECKED = 1 << 15,       /* a power of two */
};

bool segment_is_filtered(const struct segment *s)
{
    return sys_filters() > s->header->filters;
}

bool segment_is_answered(const struct segment *s)
{
    uint32_t state = atomic_load_explicit(&s->header->state, memory_order_acquire);

    return state == SERVICE_RUNNING || state == SERVICE_STARTING;
}

static size_t header_size(uint32_t n_ranks)
{
    return (sizeof(struct segment_header) + n_ranks * sizeof(struct fi_counters) + 4095) &
           ~(size_t)4095;
}

/* The header and one reservation step. */
static uint64_t first_blocks(size_t capacity, uint32_t n_ranks)
{
    uint64_t end =
        ((uint64_t)header_size(n_ranks) + 2 * RESERVE_STEP - 1) & ~(uint64_t)(RESERVE_STEP - 1);

    return end < capacity ? end : capacity;
}

static void segment_init_header(struct segment_header *h, size_t capacity, uint32_t n_ranks,
                                uint64_t nonce)
{
    h->version = SEGMENT_VERSION;
    h->header_size = (uint32_t)header_size(n_ranks);
    h->capacity = capacity;
    h->nonce = nonce;
    h->n_ranks = n_ranks;
    h->filters = sys_filters();
    for (uint32_t i = 0; i < SEGMENT_RING; i++) {
        atomic_store_explicit(&h->ring[i].sequence, i, memory_order_relaxed);
    }
    atomic_store(&h->tail, h->header_size);
    atomic_store(&h->reserved, first_blocks(capacity, n_ranks));
    atomic_store_explicit(&h->magic, magic, memory_order_release);
}

static int segment_map(struct segment *s, const char *file, int fd)
{
    struct stat st;
    int error = sys_fstat(fd, &st);

    if (error != 0) {
        return error;
    }
    if ((size_t)st.st_size < sizeof(struct segment_header) || !S_ISREG(st.st_mode)) {
        return -EPROTO;
    }
    if (strlen(file) >= sizeof s->file) {
        return -ENAMETOOLONG;
    }
    strcpy(s->file, file);
    s->device = st.st_dev;
    s->inode = st.st_ino;
    s->mapped = (size_t)st.st_size;
    s->header = sys_mmap(s->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return s->header == NULL ? -ENOMEM : 0;
}

int segment_create(struct segment *s, const char *file, size_t capacity, uint32_t n_ranks,
                   uint64_t nonce)
{
    uint64_t first = first_blocks(capacity, n_ranks);
    int fd = sys_open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error;

    *s = (struct segment){.header = NULL};
    if (fd < 0) {
        return fd;
    }
    error = sys_ftruncate(fd, (off_t)capacity);
    if (error == 0) {
        error = sys_fallocate(fd, 0, (off_t)first); /* blocks for what a start needs */
    }
    if (error == 0) {
        error = segment_map(s, file, fd);
    }
    sys_close(fd);
    if (error != 0) {
        sys_unlink(file);
        return error;
    }
    segment_init_header(s->header, capacity, n_ranks, nonce);
    return 0;
}

static bool header_sound(const struct segment_header *h, size_t size, uint64_t nonce)
{
    return atomic_load_explicit(&h->magic, memory_order_acquire) == magic &&
           h->version == SEGMENT_VERSION && h->nonce == nonce && h->capacity == size &&
           h->n_ranks < 1 << 20 && h->header_size == header_size(h->n_ranks) &&
           h->header_size <= size && atomic_load(&h->tail) <= size &&
           atomic_load(&h->reserved) <= size;
}

int segment_attach(struct segment *s, const char *file, uint64_t nonce)
{
    int fd = sys_open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    int error;

    *s = (struct segment){.header = NULL};
    if (fd < 0) {
        return fd;
    }
    error = segment_map(s, file, fd);
    sys_close(fd);
    if (error == 0 && !header_sound(s->header, s->mapped, nonce)) {
        error = -EPROTO;
    }
    if (error == 0) {
        s->checked = sys_mmap(CHECKED * sizeof *s->checked, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        error = s->checked == NULL ? -ENOMEM : 0;
    }
    if (error != 0) {
        segment_detach(s);
    }
    return error;
}

void segment_detach(struct segment *s)
{
    if (s->header != NULL) {
        sys_munmap(s->header, s->mapped);
    }
    if (s->checked != NULL) {
        sys_munmap(s->checked, CHECKED * sizeof *s->checked);
    }
    *s = (struct segment){.header = NULL};
}

/* The record at an offset, or NULL if no record can be there. */
static struct record *segment_record_at(const struct segment *s, uint64_t offset)
{
    if (offset < s->header->header_size || offset > s->mapped - sizeof(struct record) ||
        offset % 8 != 0) {
        return NULL;
    }
    return (struct record *)((char *)s->header + offset);
}

/* For a process that has attached to a segment that another one created: is the record at `at`
 * (offset / 8) sound? A small table remembers the answers, so that each record is examined about
 * once. */
static bool segment_is_sound(const struct segment *s, const struct record *r, uint32_t at)
{
    _Atomic uint32_t *seen = &s->checked[at % CHECKED];
    uint64_t tail;

    if (atomic_load_explicit(seen, memory_order_relaxed) == at) {
        return true;
    }
    tail = atomic_load_explicit(&s->header->tail, memory_order_acquire);
    if (tail > s->mapped || tail < (uint64_t)at * 8 || !record_valid(r, tail - (uint64_t)at * 8)) {
        return false;
    }
    atomic_store_explicit(seen, at, memory_order_relaxed);
    return true;
}

static bool segment_is_answer(const struct record *r, const struct fi_query *q)
{
    return r->hash == q->hash && r->kind == q->kind && r->argument == q->argument &&
           r->path_length == q->length && memcmp(r->path, q->path, q->length) == 0;
}

static bool is_given_back(const struct record *r)
{
    return (record_flags(r) & RECORD_GIVEN_BACK) != 0;
}

static bool is_no_given_back(const struct record *r)
{
    return !is_given_back(r);
}

/* The newest record for a key of those that are `wanted` (NULL: of all). */
static const struct record *segment_search(const struct segment *s, const struct fi_query *q,
                                           bool (*wanted)(const struct record *r))
{
    const struct segment_header *h = s->header;
    uint32_t at =
        atomic_load_explicit(&h->buckets[q->hash % SEGMENT_BUCKETS], memory_order_acquire);

    for (int i = 0; at != 0 && i < LONGEST_CHAIN; i++) {
        const struct record *r = segment_record_at(s, (uint64_t)at * 8);

        if (r == NULL || (s->checked != NULL && !segment_is_sound(s, r, at))) {
            return NULL;
        }
        if (segment_is_answer(r, q) && (wanted == NULL || wanted(r))) {
            return r;
        }
        at = atomic_load_explicit(&r->next, memory_order_relaxed);
    }
    return NULL;
}

const struct record *segment_find(const struct segment *s, const struct fi_query *q)
{
    const struct record *r = segment_search(s, q, NULL);

    return r == NULL || is_given_back(r) ? NULL : r;
}

const struct record *segment_find_past(const struct segment *s, const struct fi_query *q)
{
    return segment_search(s, q, is_no_given_back);
}

bool segment_was_given_back(const struct segment *s, const struct fi_query *q)
{
    return segment_search(s, q, is_given_back) != NULL;
}

/* Allocates blocks of the file. Returns 0 or -errno: -ESTALE if the file name refers to another
 * file by now (chroot(2)), which is left alone. */
static int segment_allocate_blocks(const struct segment *s, uint64_t from, uint64_t to)
{
    struct stat st;
    int error;
    int fd = segment_is_filtered(s)
                 ? -EACCES
                 : sys_open(s->file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0) {
        return fd;
    }
    error = sys_fstat(fd, &st);
    if (error == 0) {
        error = st.st_dev == s->device && st.st_ino == s->inode
                    ? sys_fallocate(fd, (off_t)from, (off_t)(to - from))
                    : -ESTALE;
    }
    sys_close(fd);
    return error;
}

/* Makes sure that the file has blocks up to `end`: of memory, which may be scarce. */
static bool segment_reserve(struct segment *s, uint64_t end)
{
    struct segment_header *h = s->header;
    uint64_t have = atomic_load(&h->reserved);
    int error;

    while (have < end) {
        uint64_t want = (end + RESERVE_STEP - 1) & ~(uint64_t)(RESERVE_STEP - 1);

        if (want > s->mapped) {
            want = s->mapped;
        }
        if (want < end || !memory_limits_allow(want)) {
            atomic_store(&h->full, 1);
            return false;
        }
        error = segment_allocate_blocks(s, have, want);
        if (error != 0) { /* another process may be able to open it */
            atomic_store(&h->full, error != -ENOENT && error != -EACCES && error != -ESTALE &&
                                       error != -EMFILE && error != -ENFILE);
            return false;
        }
        if (atomic_compare_exchange_strong(&h->reserved, &have, want)) {
            have = want;
        }
    }
    return true;
}

/* Tries to take the place at the tail by writing the record's size there. Only then is the tail
 * moved, by whoever comes next if the taker was killed in between. Returns 0, or the size that
 * another process has written. */
static uint32_t segment_take_place(struct record *r, uint32_t size)
{
    uint32_t taken = 0;

    atomic_compare_exchange_strong(&r->size, &taken, size | RECORD_UNFINISHED);
    return taken;
}

/* Takes `size` bytes at the tail; NULL if none are left. */
static struct record *segment_take_room(struct segment *s, uint32_t size)
{
    struct segment_header *h = s->header;

    for (;;) {
        uint64_t at = atomic_load(&h->tail);
        struct record *r = segment_record_at(s, at);
        uint32_t taken;

        if (r == NULL || size > s->mapped - at) {
            atomic_store(&h->full, 1);
            return NULL;
        }
        if (!segment_reserve(s, at + size)) {
            return NULL;
        }
        taken = segment_take_place(r, size);
        if (taken == 0) {
            atomic_compare_exchange_strong(&h->tail, &at, at + size);
            return r;
        }
        taken &= ~(uint32_t)RECORD_STATES;
        if (taken < sizeof *r || taken > s->mapped - at) { /* not a size that this library writes */
            atomic_store(&h->full, 1);
            return NULL;
        }
        atomic_compare_exchange_strong(&h->tail, &at, at + taken);
    }
}

struct record *segment_allocate(struct segment *s, size_t path_length, size_t payload_size)
{
    struct segment_header *h = s->header;
    struct record *r;

    if (path_length > UINT16_MAX || payload_size > s->mapped ||
        atomic_load_explicit(&h->full, memory_order_relaxed)) {
        return NULL;
    }
    r = segment_take_room(s, record_size_for(path_length, payload_size));
    if (r == NULL) {
        return NULL;
    }
    r->path_length = (uint16_t)path_length;
    r->payload_size = (uint32_t)payload_size;
    return r;
}

/* The writer (RECORD_WHOLE) and the stream, which no longer waits for it (RECORD_ABANDONED), may
 * race: the first compare-and-swap wins. */
static bool segment_end_writing(struct record *r, enum record_state state)
{
    uint32_t size = atomic_load(&r->size);

    return (size & RECORD_UNFINISHED) != 0 &&
           atomic_compare_exchange_strong(&r->size, &size,
                                          (size & ~(uint32_t)RECORD_STATES) | state);
}

static void segment_link(struct segment *s, struct record *r)
{
    struct segment_header *h = s->header;
    _Atomic uint32_t *bucket = &h->buckets[r->hash % SEGMENT_BUCKETS];
    uint32_t at = (uint32_t)((uint64_t)((char *)r - (char *)h) / 8);
    uint32_t head = atomic_load(bucket);

    if (r->kind == RECORD_STALE) {
        atomic_fetch_add(&h->invalidations, 1);
    }
    do {
        atomic_store_explicit(&r->next, head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(bucket, &head, at, memory_order_release,
                                                    memory_order_relaxed));
}

static struct record *segment_copy(struct segment *s, const struct record *from)
{
    struct record *to = segment_allocate(s, from->path_length, from->payload_size);
    size_t keys = offsetof(struct record, hash);
    size_t size = record_size_for(from->path_length, from->payload_size);

    if (to != NULL) {
        memcpy((char *)to + keys, (const char *)from + keys, size - keys);
    }
    return to;
}

void segment_publish(struct segment *s, struct record *r)
{
    while (!segment_end_writing(r, RECORD_WHOLE)) {
        if ((r->flags & RECORD_LOCAL) != 0) {
            atomic_fetch_and(&r->size, ~(uint32_t)RECORD_STATES);
            break;
        }
        r = segment_copy(s, r);
        if (r == NULL) {
            return;
        }
    }
    segment_link(s, r);
}

bool segment_abandon(struct segment *s, struct record *r)
{
    (void)s;
    return segment_end_writing(r, RECORD_ABANDONED);
}

const struct record *segment_insert(struct segment *s, const struct record *from)
{
    struct record *to = segment_copy(s, from);

    if (to != NULL) {
        segment_publish(s, to);
    }
    return to;
}

const struct record *segment_add(struct segment *s, const struct fi_query *key, uint8_t flags,
                                 const void *payload, size_t size)
{
    struct record *r = segment_allocate(s, key->length, size);

    if (r == NULL) {
        return NULL;
    }
    r->kind = (uint8_t)key->kind;
    r->argument = key->argument;
    r->flags = flags;
    memcpy(r->path, key->path, key->length);
    if (size > 0) {
        memcpy((char *)record_payload(r), payload, size);
    }
    record_seal(r);
    segment_publish(s, r);
    return r;
}

uint64_t segment_arena_start(const struct segment *s)
{
    return s->header->header_size;
}

/* The size and state of the record at a position of the arena; 0 if there is none, or it is
 * malformed. */
static uint32_t segment_size_at(const struct segment *s, uint64_t position)
{
    const struct record *r = segment_record_at(s, position);
    uint32_t size;

    if (r == NULL || position >= atomic_load_explicit(&s->header->tail, memory_order_acquire)) {
        return 0;
    }
    size = atomic_load_explicit(&r->size, memory_order_acquire);
    return size < sizeof *r ? 0 : size;
}

static const struct record *segment_step(const struct segment *s, uint64_t *position,
                                         uint32_t step_over)
{
    uint32_t size;

    while ((size = segment_size_at(s, *position)) != 0) {
        const struct record *r = segment_record_at(s, *position);
        uint32_t state = size & RECORD_STATES;

        if ((state & ~step_over) != 0) {
            return NULL;
        }
        *position += size - state;
        if (state == RECORD_WHOLE) {
            return r;
        }
    }
    return NULL;
}

const struct record *segment_walk(const struct segment *s, uint64_t *position)
{
    return segment_step(s, position, RECORD_ABANDONED);
}

const struct record *segment_walk_whole(const struct segment *s, uint64_t *position)
{
    return segment_step(s, position, RECORD_ABANDONED | RECORD_UNFINISHED);
}

struct record *segment_unfinished(const struct segment *s, uint64_t position)
{
    return (segment_size_at(s, position) & RECORD_UNFINISHED) != 0 ? segment_record_at(s, position)
                                                                   : NULL;
}
