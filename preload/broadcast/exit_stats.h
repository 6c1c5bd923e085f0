/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit_stats.h - exit statistics: what a node tells the root at its end. The counters of its ranks,
 * which of the plan's records they used, and which libraries could not be served.
 *
 * Records that came with the plan lie in the same order in every node's segment, because the stream
 * leaves none out (segment_publish()). So one bit for each, in that order, tells whether
 * RECORD_USED is set. Layout of the message: struct exit_stats_head, the counters, the bits, the
 * libraries as text (cache/unserved.h).
 *
 * Thread rules: the service thread.
 */
#ifndef FASTIMPORT_BROADCAST_EXIT_STATS_H
#define FASTIMPORT_BROADCAST_EXIT_STATS_H

#include "cache/segment.h"

struct exit_stats_head {
    uint32_t n_counters;
    uint32_t n_bits;
    uint32_t unserved_size;    /* in bytes */
    uint32_t unserved_omitted; /* libraries that did not fit */
};

/* A message's contents. Pointers lead into the message. */
struct exit_stats {
    const struct fi_counters *counters;
    size_t n_counters;
    bool knows_plan; /* the bits stand for the records of this segment's plan */
    const char *unserved;
    size_t unserved_size;
    uint32_t unserved_omitted;
};

/* The size of a message at most, in bytes. */
size_t exit_stats_max_size(size_t n_ranks, size_t n_planned);

/* Writes this node's message to `out`, which must hold exit_stats_max_size() bytes. Returns its
 * size. */
size_t exit_stats_write(const struct segment *segment, char *out);

/* Reads a message of `size` bytes, and marks the used records in the segment. False if it is
 * malformed; what could be read is in *out all the same. */
bool exit_stats_read(const struct segment *segment, const char *in, size_t size,
                     struct exit_stats *out);

#endif
