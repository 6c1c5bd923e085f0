/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * query.h - validates what others ask of the root (a plan, a rank of its node, the leader of
 * another node), and what a node accepts as the root's answer.
 *
 * A query must ask for something that the cache can answer, about a path that is normal and has no
 * ".." (base/path.h): a copy is stored under the words of its path, and must be the copy of the
 * file that open(2) finds by these words. Pure functions.
 */
#ifndef FASTIMPORT_CACHE_QUERY_H
#define FASTIMPORT_CACHE_QUERY_H

#include "cache/record.h"
#include "policy/policy.h"

/* Is the query well-formed? */
bool query_is_sound(const struct fi_query *query);

/* Is it well-formed, and its path below the roots? (A library by name has no path: ld.so's search
 * decides.) */
bool query_is_allowed(const struct fi_query *query, const struct policy *policy);

/* For a record from the root that has passed record_valid(): is it of a kind that the root
 * sends? */
bool query_has_answer(const struct record *record);

#endif
