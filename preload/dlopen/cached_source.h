/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cached_source.h - how the search for libraries looks at the file system: through the node cache
 * where a path is ours.
 *
 * Internal to fill/library.c. Every file that the search opens becomes content of the node cache.
 *
 * Thread rules: library_source_init() before all else; then any thread.
 */
#ifndef FASTIMPORT_DLOPEN_CACHED_SOURCE_H
#define FASTIMPORT_DLOPEN_CACHED_SOURCE_H

#include "base/path.h"
#include "elf/closure.h"
#include "fill/fill.h"
#include "policy/policy.h"

void cached_source_init(struct fill *fill, const struct policy *policy);

extern const struct fi_elf_source cached_source;

/* By its name alone. */
bool cached_source_is_ours(const char *path);

/* The name under which the node cache knows a path; false: it is not ours. One file has one name,
 * so that the
 * "$ORIGIN/../../numpy.libs" of many modules is read once. */
bool cached_source_name(const char *path, struct fi_path *name);

#endif
