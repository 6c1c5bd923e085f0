/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy.h - reads a file into the mirror, or those parts of it that mapped.h chooses.
 *
 * Internal to fill/lookup.c. Thread rules: any thread.
 */
#ifndef FASTIMPORT_FILL_COPY_H
#define FASTIMPORT_FILL_COPY_H

#include "cache/node.h"
#include "fill/mapped.h"

/* Copies an open file, whose fstat is `st`, for a query of the kind RECORD_CONTENT. Returns 0 or
 * -errno: -EIO if the file has become shorter meanwhile, -ENOSPC if there is no room. *copied says
 * what has been copied; the caller frees copied->extents. */
int copy_into_mirror(struct node_cache *node, const struct fi_query *query, int fd,
                     const struct stat *st, struct mapped *copied);

#endif
