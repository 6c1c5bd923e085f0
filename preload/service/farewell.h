/*
 * farewell.h - what a node tells the root at its end: the counters of its ranks, and which of the
 * plan's records were used.
 *
 * Records that came with the plan's bulk lie in the same order in every segment; a bit for each
 * says whether RECORD_USED is set. Layout: struct farewell_head, the counters, the bits.
 */
#ifndef FASTIMPORT_SERVICE_FAREWELL_H
#define FASTIMPORT_SERVICE_FAREWELL_H

#include "cache/segment.h"

struct farewell_head {
    uint32_t n_counters;
    uint32_t n_bits;
};

/* Room that a farewell needs at most. */
size_t farewell_room(size_t n_ranks, size_t n_planned);

size_t farewell_write(const struct segment *segment, char *out);

/* Takes a farewell in: marks the records, points *counters at its counters. False if it makes no
 * sense, or if the bits are not of the same records (that node's index was full): *complete is
 * cleared. */
bool farewell_read(const struct segment *segment, const char *in, size_t size,
                   const struct fi_counters **counters, size_t *n, bool *complete);

#endif
