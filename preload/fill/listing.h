/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing.h - converts the entries of a directory from the kernel's format (getdents64(2)) to that
 * of a RECORD_LIST.
 *
 * Calling order: listing_read(), listing_measure(), listing_encode(). Thread rules: any thread; a
 * struct listing belongs to one.
 */
#ifndef FASTIMPORT_FILL_LISTING_H
#define FASTIMPORT_FILL_LISTING_H

#include "cache/record.h"

/* Entries as getdents64(2) gives them. Initialise it with zeros. The caller frees `bytes`. */
struct listing {
    char *bytes;
    size_t size;
    size_t room;
};

/* Reads an open directory to its end. Returns 0 or -errno. */
int listing_read(int fd, struct listing *listing);

/* The number of entries, and the bytes that they need in a record behind the slots. */
void listing_measure(const struct listing *listing, uint32_t *entries, size_t *bytes);

/* Writes the entries behind the first `head` bytes of the payload, and fills in the slots. The
 * caller has set n_slots. */
void listing_encode(const struct listing *listing, struct record_list *list, size_t head);

#endif
