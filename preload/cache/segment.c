/* segment.c - see segment.h */
#include "cache/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"

static const uint64_t magic = 0x31545249504d4946; /* "FIMPIRT1" */

enum {
    RESERVE_STEP = 1 << 20,
    LONGEST_CHAIN = 1 << 16, /* a full segment has about 250 records a bucket: more is a loop */
    CHECKED = 1 << 15,       /* a power of two */
};

static size_t header_size(uint32_t n_ranks)
{
    return (sizeof(struct segment_header) + n_ranks * sizeof(struct fi_counters) + 4095) &
           ~(size_t)4095;
}

static void init_header(struct segment_header *h, size_t capacity, uint32_t n_ranks, uint64_t nonce)
{
    h->version = SEGMENT_VERSION;
    h->header_size = (uint32_t)header_size(n_ranks);
    h->capacity = capacity;
    h->nonce = nonce;
    h->n_ranks = n_ranks;
    for (uint32_t i = 0; i < SEGMENT_RING; i++) {
        atomic_store_explicit(&h->ring[i].sequence, i, memory_order_relaxed);
    }
    atomic_store(&h->tail, h->header_size);
    atomic_store(&h->reserved, h->header_size);
    atomic_store_explicit(&h->magic, magic, memory_order_release);
}

int segment_create(struct segment *s, const char *file, size_t capacity, uint32_t n_ranks,
                   uint64_t nonce)
{
    size_t first = header_size(n_ranks);
    int fd =
        sys_move_high(sys_open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    int error;

    if (fd < 0) {
        return fd;
    }
    error = sys_ftruncate(fd, (off_t)capacity);
    if (error == 0) {
        error = sys_fallocate(fd, 0, (off_t)first);
    }
    if (error == 0) {
        s->header = sys_mmap(capacity, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        error = s->header == NULL ? -ENOMEM : 0;
    }
    if (error != 0) {
        sys_close(fd);
        sys_unlink(file);
        return error;
    }
    s->fd = fd;
    s->mapped = capacity;
    s->checked = NULL;
    init_header(s->header, capacity, n_ranks, nonce);
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

static int map_file(struct segment *s, int fd)
{
    struct stat st;
    int error = sys_fstat(fd, &st);

    if (error != 0) {
        return error;
    }
    if ((size_t)st.st_size < sizeof(struct segment_header) || !S_ISREG(st.st_mode)) {
        return -EPROTO;
    }
    s->fd = fd;
    s->mapped = (size_t)st.st_size;
    s->header = sys_mmap(s->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return s->header == NULL ? -ENOMEM : 0;
}

int segment_attach(struct segment *s, const char *file, uint64_t nonce)
{
    int fd = sys_move_high(sys_open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0));
    int error;

    *s = (struct segment){.fd = fd};
    if (fd < 0) {
        return fd;
    }
    error = map_file(s, fd);
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
    sys_close(s->fd);
    *s = (struct segment){.fd = -1};
}

/* The record at an offset, or NULL when there can be none. */
static struct record *record_at(const struct segment *s, uint64_t offset)
{
    if (offset < s->header->header_size || offset > s->mapped - sizeof(struct record) ||
        offset % 8 != 0) {
        return NULL;
    }
    return (struct record *)((char *)s->header + offset);
}

/* In a process that attached: has the record at `at` (offset / 8) been found sound, now or before?
 * A small table of its own remembers those, so that each is examined about once. */
static bool is_sound(const struct segment *s, const struct record *r, uint32_t at)
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

static bool answers(const struct record *r, const struct fi_query *q)
{
    return r->hash == q->hash && r->kind == q->kind && r->argument == q->argument &&
           r->path_length == q->length && memcmp(r->path, q->path, q->length) == 0;
}

const struct record *segment_find(const struct segment *s, const struct fi_query *q)
{
    const struct segment_header *h = s->header;
    uint32_t at =
        atomic_load_explicit(&h->buckets[q->hash % SEGMENT_BUCKETS], memory_order_acquire);

    for (int i = 0; at != 0 && i < LONGEST_CHAIN; i++) {
        const struct record *r = record_at(s, (uint64_t)at * 8);

        if (r == NULL || (s->checked != NULL && !is_sound(s, r, at))) {
            return NULL;
        }
        if (answers(r, q)) {
            return r;
        }
        at = atomic_load_explicit(&r->next, memory_order_relaxed);
    }
    return NULL;
}

/* Makes sure that blocks up to `end` exist in the file. */
static bool reserve(struct segment *s, uint64_t end)
{
    struct segment_header *h = s->header;
    uint64_t have = atomic_load(&h->reserved);

    while (have < end) {
        uint64_t want = (end + RESERVE_STEP - 1) & ~(uint64_t)(RESERVE_STEP - 1);

        if (want > s->mapped) {
            want = s->mapped;
        }
        if (want < end || sys_fallocate(s->fd, (off_t)have, (off_t)(want - have)) != 0) {
            return false;
        }
        if (atomic_compare_exchange_strong(&h->reserved, &have, want)) {
            have = want;
        }
    }
    return true;
}

/* A record's place is taken by its size, at the tail, and only then is the tail moved: by whoever
 * comes next, if the taker was killed in between. */
static uint32_t take_place(struct record *r, uint32_t size)
{
    uint32_t taken = 0;

    atomic_compare_exchange_strong(&r->size, &taken, size | RECORD_UNFINISHED);
    return taken;
}

/* The room of `size` bytes at the tail, NULL: none is left. */
static struct record *allocate(struct segment *s, uint32_t size)
{
    struct segment_header *h = s->header;

    for (;;) {
        uint64_t at = atomic_load(&h->tail);
        struct record *r = record_at(s, at);
        uint32_t taken;

        if (r == NULL || size > s->mapped - at || !reserve(s, at + size)) {
            return NULL;
        }
        taken = take_place(r, size);
        if (taken == 0) {
            atomic_compare_exchange_strong(&h->tail, &at, at + size);
            return r;
        }
        taken &= ~(uint32_t)RECORD_STATES;
        if (taken < sizeof *r || taken > s->mapped - at) { /* somebody else's idea of a record */
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
    r = allocate(s, record_size_for(path_length, payload_size));
    if (r == NULL) {
        atomic_store(&h->full, 1);
        return NULL;
    }
    r->path_length = (uint16_t)path_length;
    r->payload_size = (uint32_t)payload_size;
    return r;
}

/* By its maker and by one who waits no longer, maybe at once: the first decides. */
static bool settle(struct record *r, enum record_state state)
{
    uint32_t size = atomic_load(&r->size);

    return (size & RECORD_UNFINISHED) != 0 &&
           atomic_compare_exchange_strong(&r->size, &size,
                                          (size & ~(uint32_t)RECORD_STATES) | state);
}

static void link_in(struct segment *s, struct record *r)
{
    struct segment_header *h = s->header;
    _Atomic uint32_t *bucket = &h->buckets[r->hash % SEGMENT_BUCKETS];
    uint32_t at = (uint32_t)((uint64_t)((char *)r - (char *)h) / 8);
    uint32_t head = atomic_load(bucket);

    if (r->kind == RECORD_BYPASS) {
        atomic_fetch_add(&h->bypasses, 1);
    }
    do {
        atomic_store_explicit(&r->next, head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(bucket, &head, at, memory_order_release,
                                                    memory_order_relaxed));
}

static struct record *copy(struct segment *s, const struct record *from)
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
    while (!settle(r, RECORD_WHOLE)) {
        if ((r->flags & RECORD_LOCAL) != 0) {
            atomic_fetch_and(&r->size, ~(uint32_t)RECORD_STATES);
            break;
        }
        r = copy(s, r);
        if (r == NULL) {
            return;
        }
    }
    link_in(s, r);
}

bool segment_abandon(struct segment *s, struct record *r)
{
    (void)s;
    return settle(r, RECORD_ABANDONED);
}

const struct record *segment_insert(struct segment *s, const struct record *from)
{
    struct record *to = copy(s, from);

    if (to != NULL) {
        segment_publish(s, to);
    }
    return to;
}

uint64_t segment_arena_start(const struct segment *s)
{
    return s->header->header_size;
}

/* The size and state of what lies at a position of the arena; 0: nothing, or no sense. */
static uint32_t size_at(const struct segment *s, uint64_t position)
{
    const struct record *r = record_at(s, position);
    uint32_t size;

    if (r == NULL || position >= atomic_load_explicit(&s->header->tail, memory_order_acquire)) {
        return 0;
    }
    size = atomic_load_explicit(&r->size, memory_order_acquire);
    return size < sizeof *r ? 0 : size;
}

static const struct record *walk(const struct segment *s, uint64_t *position, uint32_t step_over)
{
    uint32_t size;

    while ((size = size_at(s, *position)) != 0) {
        const struct record *r = record_at(s, *position);
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
    return walk(s, position, RECORD_ABANDONED);
}

const struct record *segment_walk_whole(const struct segment *s, uint64_t *position)
{
    return walk(s, position, RECORD_ABANDONED | RECORD_UNFINISHED);
}

struct record *segment_unfinished(const struct segment *s, uint64_t position)
{
    return (size_at(s, position) & RECORD_UNFINISHED) != 0 ? record_at(s, position) : NULL;
}

void segment_announce(struct segment *s)
{
    struct segment_header *h = s->header;

    atomic_fetch_add(&h->generation, 1);
    if (atomic_load(&h->waiters) > 0) {
        sys_futex_wake(&h->generation, INT32_MAX);
    }
}

void segment_wait(struct segment *s, uint32_t generation, int64_t timeout_ns)
{
    struct segment_header *h = s->header;

    atomic_fetch_add(&h->waiters, 1);
    sys_futex_wait(&h->generation, generation, timeout_ns);
    atomic_fetch_sub(&h->waiters, 1);
}

bool segment_claim(struct segment *s, uint64_t hash)
{
    uint64_t key = hash | 1;
    uint64_t expected = 0;

    return atomic_compare_exchange_strong(&s->header->claims[hash % SEGMENT_CLAIMS], &expected,
                                          key);
}

bool segment_claimed(const struct segment *s, uint64_t hash)
{
    return atomic_load(&s->header->claims[hash % SEGMENT_CLAIMS]) == (hash | 1);
}

void segment_unclaim(struct segment *s, uint64_t hash)
{
    atomic_store(&s->header->claims[hash % SEGMENT_CLAIMS], 0);
}

/* A bounded queue after D. Vyukov: slot i may be written in round n when its sequence is i + n *
 * size, and read when it is one more. */
bool segment_ask(struct segment *s, const struct fi_query *q)
{
    struct segment_header *h = s->header;
    uint32_t at = atomic_load(&h->ring_tail);
    struct segment_request *slot;

    if (q->length >= sizeof slot->path) {
        return false;
    }
    for (;;) {
        int32_t lag;

        slot = &h->ring[at % SEGMENT_RING];
        lag = (int32_t)(atomic_load_explicit(&slot->sequence, memory_order_acquire) - at);
        if (lag < 0) {
            return false;
        }
        if (lag > 0) {
            at = atomic_load(&h->ring_tail);
        } else if (atomic_compare_exchange_weak(&h->ring_tail, &at, at + 1)) {
            break;
        }
    }
    slot->kind = (uint8_t)q->kind;
    slot->argument = q->argument;
    slot->length = (uint16_t)q->length;
    memcpy(slot->path, q->path, q->length);
    atomic_store_explicit(&slot->sequence, at + 1, memory_order_release);
    segment_ring(s);
    return true;
}

bool segment_next_request(struct segment *s, struct fi_query *q, char path[4096])
{
    struct segment_header *h = s->header;
    uint32_t at = atomic_load_explicit(&h->ring_head, memory_order_relaxed);
    struct segment_request *slot = &h->ring[at % SEGMENT_RING];
    size_t length;

    if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != at + 1) {
        return false;
    }
    length = slot->length < 4096 ? slot->length : 4095;
    memcpy(path, slot->path, length);
    path[length] = '\0';
    *q = query_make((enum record_kind)slot->kind, slot->argument, path, length);
    atomic_store_explicit(&h->ring_head, at + 1, memory_order_relaxed);
    atomic_store_explicit(&slot->sequence, at + SEGMENT_RING, memory_order_release);
    return true;
}

void segment_ring(struct segment *s)
{
    struct segment_header *h = s->header;

    atomic_fetch_add(&h->doorbell, 1);
    if (atomic_load(&h->leader_sleeps)) {
        sys_futex_wake(&h->doorbell, 1);
    }
}

void segment_sleep(struct segment *s, int64_t timeout_ns)
{
    struct segment_header *h = s->header;
    uint32_t bell = atomic_load(&h->doorbell);
    uint32_t head = atomic_load(&h->ring_head);

    atomic_store(&h->leader_sleeps, 1);
    if (atomic_load(&h->ring[head % SEGMENT_RING].sequence) != head + 1) {
        sys_futex_wait(&h->doorbell, bell, timeout_ns);
    }
    atomic_store(&h->leader_sleeps, 0);
}
