/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unserved.h - libraries that this node left to ld.so, and why: for the report.
 *
 * Noted in the index segment (RECORD_LEFT), so that the leader can tell of ranks that are gone.
 * Only those that exist: one that is nowhere is ld.so's to complain of. Any thread, any process of
 * the node.
 */
#ifndef FASTIMPORT_CACHE_UNSERVED_H
#define FASTIMPORT_CACHE_UNSERVED_H

#include "cache/segment.h"

/* Notes it, once for each path: the first reason stands. Nothing happens when the index is full. */
void unserved_note(struct segment *segment, const char *path, const char *why);

/* Why the mirror has no copy of a file, as the rest of a sentence; NULL: it has one, or it is not
 * known. path: absolute, ".." taken by the word. */
const char *left_reason(const struct segment *segment, const char *path);

/* Writes "path NUL why NUL" for each, as many as fit; returns the bytes written. *omitted: how many
 * did not fit. */
size_t unserved_write(const struct segment *segment, char *out, size_t room, uint32_t *omitted);

#endif
