/* SPDX-License-Identifier: BSD-3-Clause */
/* exit_stats.c - see exit_stats.h */
#include "broadcast/exit_stats.h"

#include <string.h>

#include "cache/unserved.h"

enum { UNSERVED_MAX = 16 << 10 };

size_t exit_stats_max_size(size_t n_ranks, size_t n_planned)
{
    return sizeof(struct exit_stats_head) + n_ranks * sizeof(struct fi_counters) + n_planned / 8 +
           8 + UNSERVED_MAX;
}

static const struct record *next_planned(const struct segment *segment, uint64_t *position)
{
    const struct record *r;

    while ((r = segment_walk_whole(segment, position)) != NULL &&
           (record_flags(r) & RECORD_PLANNED) == 0) {
    }
    return r;
}

static size_t exit_stats_bytes_of(uint32_t n_bits)
{
    return ((size_t)n_bits + 7) / 8;
}

size_t exit_stats_write(const struct segment *segment, char *out)
{
    const struct segment_header *h = segment->header;
    struct exit_stats_head head = {.n_counters = h->n_ranks};
    uint64_t position = segment_arena_start(segment);
    char *bits = out + sizeof head + h->n_ranks * sizeof *h->counters;
    const struct record *r;
    char *unserved;

    memcpy(out + sizeof head, h->counters, h->n_ranks * sizeof *h->counters);
    while ((r = next_planned(segment, &position)) != NULL) {
        if (head.n_bits % 8 == 0) {
            bits[head.n_bits / 8] = 0;
        }
        if ((record_flags(r) & RECORD_USED) != 0) {
            bits[head.n_bits / 8] |= (char)(1 << head.n_bits % 8);
        }
        head.n_bits++;
    }
    unserved = bits + exit_stats_bytes_of(head.n_bits);
    head.unserved_size =
        (uint32_t)unserved_write(segment, unserved, UNSERVED_MAX, &head.unserved_omitted);
    memcpy(out, &head, sizeof head);
    return (size_t)(unserved - out) + head.unserved_size;
}

static bool exit_stats_mark(const struct segment *segment, const char *bits, uint32_t n_bits)
{
    uint64_t position = segment_arena_start(segment);
    const struct record *r;
    uint32_t i = 0;

    while ((r = next_planned(segment, &position)) != NULL) {
        if (i < n_bits && (bits[i / 8] >> i % 8 & 1) != 0) {
            record_mark_used(r);
        }
        i++;
    }
    return i == n_bits;
}

bool exit_stats_read(const struct segment *segment, const char *in, size_t size,
                     struct exit_stats *out)
{
    struct exit_stats_head head;
    size_t at = sizeof head;

    *out = (struct exit_stats){0};
    if (size < sizeof head) {
        return false;
    }
    memcpy(&head, in, sizeof head);
    if (head.n_counters > (size - at) / sizeof *out->counters) {
        return false;
    }
    out->counters = (const void *)(in + at);
    out->n_counters = head.n_counters;
    at += head.n_counters * sizeof *out->counters;
    if (exit_stats_bytes_of(head.n_bits) > size - at) {
        return false;
    }
    out->knows_plan = exit_stats_mark(segment, in + at, head.n_bits);
    at += exit_stats_bytes_of(head.n_bits);
    out->unserved = in + at;
    out->unserved_size = head.unserved_size <= size - at ? head.unserved_size : 0;
    out->unserved_omitted = head.unserved_omitted;
    return out->unserved_size == head.unserved_size;
}
