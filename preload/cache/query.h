/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * query.h - what the root looks up because somebody says so: a plan, a rank of its own node, the
 * leader of another one. And what a node takes for an answer of the root.
 *
 * What is asked for must be an answer that the cache has, of a path that is normal and has no ".."
 * (base/path.h): a copy is kept under its path's words, and must be of the file that open(2) finds
 * by them. Pure functions.
 */
#ifndef FASTIMPORT_CACHE_QUERY_H
#define FASTIMPORT_CACHE_QUERY_H

#include "cache/record.h"
#include "policy/policy.h"

/* Does the query make sense? */
bool query_is_sound(const struct fi_query *query);

/* And is its path below the roots? (A library by name has none: ld.so's search decides.) */
bool query_is_allowed(const struct fi_query *query, const struct policy *policy);

/* A record that has come from the root, as record_valid() lets through: is it one that travels? */
bool query_has_answer(const struct record *record);

#endif
