/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * search.h - which file would ld.so open for a name?
 */
#ifndef FASTIMPORT_ELF_SEARCH_H
#define FASTIMPORT_ELF_SEARCH_H

#include "elf/objects.h"

/* Works out the environment's and the default directories. 0: out of memory. */
int fi_search_init(struct fi_search *search);

/* Finds or makes the object for a name that `loader` asks for, as _dl_map_object does. On anything
 * but FI_FOUND, search->culprit says what was missing or bad. A new object's `loader` is left NULL.
 */
enum fi_found fi_search_map(struct fi_search *search, struct fi_object *loader, const char *name,
                            struct fi_object **out);

#endif
