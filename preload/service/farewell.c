/* farewell.c - see farewell.h */
#include "service/farewell.h"

#include <string.h>

size_t farewell_room(size_t n_ranks, size_t n_planned)
{
    return sizeof(struct farewell_head) + n_ranks * sizeof(struct fi_counters) + n_planned / 8 + 8;
}

static const struct record *next_planned(const struct segment *segment, uint64_t *position)
{
    const struct record *r;

    while ((r = segment_walk(segment, position)) != NULL &&
           (record_flags(r) & RECORD_PLANNED) == 0) {
    }
    return r;
}

size_t farewell_write(const struct segment *segment, char *out)
{
    const struct segment_header *h = segment->header;
    struct farewell_head head = {.n_counters = h->n_ranks};
    uint64_t position = segment_arena_start(segment);
    char *bits = out + sizeof head + h->n_ranks * sizeof *h->counters;
    const struct record *r;

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
    memcpy(out, &head, sizeof head);
    return (size_t)(bits - out) + (head.n_bits + 7) / 8;
}

static bool mark(const struct segment *segment, const char *bits, uint32_t n_bits)
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

bool farewell_read(const struct segment *segment, const char *in, size_t size,
                   const struct fi_counters **counters, size_t *n, bool *complete)
{
    struct farewell_head head;
    size_t at = sizeof head;

    if (size < sizeof head) {
        *complete = false;
        return false;
    }
    memcpy(&head, in, sizeof head);
    if (head.n_counters > (size - at) / sizeof **counters) {
        *complete = false;
        return false;
    }
    *counters = (const void *)(in + at);
    *n = head.n_counters;
    at += head.n_counters * sizeof **counters;
    if ((head.n_bits + 7) / 8 > size - at || !mark(segment, in + at, head.n_bits)) {
        *complete = false;
    }
    return true;
}
