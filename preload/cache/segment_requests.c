/* SPDX-License-Identifier: BSD-3-Clause */
/* segment_requests.c - how processes of a node wait for records and send requests to their leader,
 * through the segment's header; see segment.h. */
#include <string.h>

#include "base/sys.h"
#include "cache/segment.h"

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

void segment_move_claim(struct segment *s, uint64_t hash)
{
    atomic_fetch_add_explicit(&s->header->claim_marks[hash % SEGMENT_CLAIMS], 1,
                              memory_order_relaxed);
}

uint32_t segment_claim_mark(const struct segment *s, uint64_t hash)
{
    return atomic_load_explicit(&s->header->claim_marks[hash % SEGMENT_CLAIMS],
                                memory_order_relaxed);
}

/* D. Vyukov's bounded queue: slot i may be written in round n when its sequence is i + n * size,
 * and read when its sequence is one more. */
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

bool segment_next_request(struct segment *s, struct fi_query *q, char path[FI_PATH_MAX])
{
    struct segment_header *h = s->header;
    uint32_t at = atomic_load_explicit(&h->ring_head, memory_order_relaxed);
    struct segment_request *slot = &h->ring[at % SEGMENT_RING];
    size_t length;

    if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != at + 1) {
        return false;
    }
    length = slot->length < FI_PATH_MAX ? slot->length : FI_PATH_MAX - 1;
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
