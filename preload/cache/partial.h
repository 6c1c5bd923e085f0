/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * partial.h - the partial copy that a RECORD_CONTENT describes: its extents, and its version.
 *
 * The extents lie in the payload behind the path of the record (record.h). Pure functions.
 */
#ifndef FASTIMPORT_CACHE_PARTIAL_H
#define FASTIMPORT_CACHE_PARTIAL_H

#include "cache/extents.h"
#include "cache/record.h"

/* The extents of a RECORD_CONTENT without an error; they point into the record. None for NULL. */
struct extents extents_of(const struct record *content);

/* Names a partial copy of this version of the file: another version, or another choice of parts,
 * has another number. 0 if there are no extents. */
uint64_t extents_version(const struct extents *extents, const struct stat *original);
/* The same for the copy of a RECORD_CONTENT; 0 for NULL. */
uint64_t extents_version_of(const struct record *content);

#endif
