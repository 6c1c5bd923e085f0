/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit_stats.h - what a node tells the root at its end: the counters of its ranks, which of the
 * plan's records were used, and which libraries were left to ld.so.
 *
 * Records that came with the plan's bulk lie in the same order in every segment (the
 * stream leaves none out, see segment_publish()); a bit for each says whether
 * RECORD_USED is set. Layout: struct farewell_head, the counters, the bits, the
 * libraries as text (cache/left.h).
 */
#ifndef FASTIMPORT_BROADCAST_EXIT_STATS_H
#define FASTIMPORT_BROADCAST_EXIT_STATS_H

#include "cache/segment.h"

struct exit_stats_head {
    uint32_t n_counters;
    uint32_t n_bits;
    uint32_t unserved_size; /* bytes */
    uint32_t unserved_omitted;
};

/* What a farewell says, pointers into the message. */
struct exit_stats {
    const struct fi_counters *counters;
    size_t n_counters;
    bool knows_plan; /* the bits were of the same records */
    const char *left;
    size_t unserved_size;
    uint32_t unserved_omitted;
};

/* Room that a farewell needs at most. */
size_t exit_stats_room(size_t n_ranks, size_t n_planned);

size_t exit_stats_write(const struct segment *segment, char *out);

/* Takes a farewell in and marks the records. False if it makes no sense; what it does say is in
 * *out all the same. */
bool exit_stats_read(const struct segment *segment, const char *in, size_t size,
                     struct exit_stats *out);

#endif
