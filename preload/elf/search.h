/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * search.h - which file would ld.so open for a name? The order of the search is that of ld.so(8).
 */
#ifndef FASTIMPORT_ELF_SEARCH_H
#define FASTIMPORT_ELF_SEARCH_H

#include "elf/objects.h"

/* Computes the directories of LD_LIBRARY_PATH and the default ones. Returns 0 if memory is
 * short. */
int fi_search_init(struct fi_search *search);

/* Finds or creates the object for a name that `loader` asks for, as glibc's _dl_map_object does. If
 * the result is not FI_FOUND, search->culprit says what was missing or bad. The `loader` of a new
 * object is NULL. */
enum fi_found fi_search_map(struct fi_search *search, struct fi_object *loader, const char *name,
                            struct fi_object **out);

#endif
