/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.h - tells the other nodes which look-ups of the root make progress, so that their ranks
 * wait for them as those of the root's node do (fill/claim.h).
 *
 * A heartbeat carries the numbers of the claims whose marks have changed in the root's segment since
 * the last one. A node changes its own marks of the same numbers: a number is the hash of the query
 * modulo SEGMENT_CLAIMS. If there are more than fit, the rest comes with the next heartbeat.
 *
 * Thread rules: the service thread.
 */
#ifndef FASTIMPORT_BROADCAST_PROGRESS_H
#define FASTIMPORT_BROADCAST_PROGRESS_H

#include "cache/segment.h"

/* What was told already. All bytes zero at first. */
struct progress {
    uint32_t marks[SEGMENT_CLAIMS];
};

/* Writes the changes, at most `room` bytes. Returns their size. */
size_t progress_write(struct progress *progress, const struct segment *segment, char *out,
                      size_t room);
/* Takes them over. What is malformed is ignored. */
void progress_read(struct segment *segment, const char *in, size_t size);

#endif
