/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing.h - a directory's entries as the kernel gives them, and as a RECORD_LIST holds them.
 *
 * Thread rules: any thread; a struct listing belongs to one.
 */
#ifndef FASTIMPORT_FILL_LISTING_H
#define FASTIMPORT_FILL_LISTING_H

#include "cache/record.h"

/* As getdents64(2) gives them. All zero: empty. The caller frees `bytes`. */
struct listing {
    char *bytes;
    size_t size;
    size_t room;
};

/* Reads an open directory to its end. 0 or -errno. */
int listing_read(int fd, struct listing *listing);

/* How many entries there are, and how many bytes they need in a record behind its slots. */
void listing_measure(const struct listing *listing, uint32_t *entries, size_t *bytes);

/* Writes the entries behind `head` bytes of the payload, and their slots; n_slots is set. */
void listing_encode(const struct listing *listing, struct record_list *list, size_t head);

#endif
