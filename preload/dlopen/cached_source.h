/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cached_source.h - the file system as the search for libraries sees it (struct fi_elf_source):
 * through the node cache for paths below the roots.
 *
 * Internal to dlopen/closure.c. Every file that the search opens becomes content of the node cache.
 *
 * Calling order: cached_source_init() before all others. Thread rules: then any thread.
 */
#ifndef FASTIMPORT_DLOPEN_CACHED_SOURCE_H
#define FASTIMPORT_DLOPEN_CACHED_SOURCE_H

#include "base/path.h"
#include "elf/closure.h"
#include "fill/fill.h"
#include "policy/policy.h"

/* Keeps both pointers, which must live as long as the process. */
void cached_source_init(struct fill *fill, const struct policy *policy);

/* The callbacks for a struct fi_closure_request. */
extern const struct fi_elf_source cached_source;

/* Is the path below a root, by its words alone? */
bool cached_source_is_ours(const char *path);

/* Finds the one name under which the node cache stores this file, so that the
 * "$ORIGIN/../../numpy.libs" of many modules is read once. Returns false if it is not below a
 * root. */
bool cached_source_name(const char *path, struct fi_path *name);

#endif
