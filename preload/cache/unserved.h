/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unserved.h - the libraries that this node left to ld.so, and why, for the report.
 *
 * They are stored in the index segment (RECORD_UNSERVED), so that the leader can report for ranks
 * that have exited. A library that does not exist is not recorded: ld.so will report that. Thread
 * rules: any thread of any process of the node.
 */
#ifndef FASTIMPORT_CACHE_UNSERVED_H
#define FASTIMPORT_CACHE_UNSERVED_H

#include "cache/segment.h"

/* Records a library, once for each path: the first reason stays. Does nothing if the index is
 * full. */
void unserved_note(struct segment *segment, const char *path, const char *why);

/* Why the mirror has no copy of a file, as the end of a sentence ("is larger than ..."); NULL if it
 * has one, or the reason is not known. path: absolute; ".." is removed textually. */
const char *unserved_reason(const struct segment *segment, const char *path);

/* Writes "path NUL why NUL" for each library, as many as fit into `room` bytes, and returns the
 * bytes written. *omitted: the number that did not fit. */
size_t unserved_write(const struct segment *segment, char *out, size_t room, uint32_t *omitted);

#endif
