/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * samples.h - one sound record of each kind, in memory of its exact size, and a use of all that a
 * record holds.
 */
#ifndef FASTIMPORT_TESTS_UNIT_SAMPLES_H
#define FASTIMPORT_TESTS_UNIT_SAMPLES_H

#include "cache/record.h"

/* A sealed record with its size set; the caller frees it. The argument of its key is 0. */
struct record *sample_record(enum record_kind kind, const char *path);

/* Room for a record: zeroed, lengths and key filled in, `size` set; to be sealed by the caller. */
struct record *sample_make(enum record_kind kind, const char *path, size_t path_length,
                           size_t payload_size);

/* Reads a valid record as the library does, every field and entry; the result only keeps the reads
 * alive. */
uint64_t sample_use(const struct record *record);

#endif
