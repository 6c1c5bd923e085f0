/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prefetch.h - what an import asks next, looked up while the program waits for what it asks now.
 *
 * A file system answers a program's questions one after the other, each after a round trip. Which
 * question follows is known for an import (CPython's importlib/_bootstrap_external.py, FileFinder
 * and SourceLoader), so in the root
 *
 *   - a package's directory is listed when its __init__ is asked for with the first of the
 *     suffixes that it could have: the listing denies the others without asking, and is read anyway
 *     when a submodule is imported. Meanwhile helpers look at __init__.py and its bytecode;
 *   - a module's bytecode is read by a helper while its source's stat is under way. How the
 *     bytecode's name ends is learned from the first that is opened.
 *
 * Both only for what the listing of the directory above shows to be there, so there are no more
 * operations than without (a package from which nothing else is imported is listed instead of asked
 * three times), but one or two for a namespace package.
 *
 * Calling order: ahead_start() once, in the root, by the service thread; until then, and in other
 * ranks, ahead_of() does nothing. Thread rules of ahead_of(): any thread, also in signal handlers.
 */
#ifndef FASTIMPORT_FILL_PREFETCH_H
#define FASTIMPORT_FILL_PREFETCH_H

#include "fill/fill.h"
#include "policy/policy.h"

/* hand_over: gives a query, claimed (segment_claim), to somebody who calls fill_claimed(); false:
 * it is not taken. The arguments must outlive the program. */
void prefetch_start(struct fill *fill, const struct policy *policy,
                    bool (*hand_over)(const struct fi_query *query));

/* The program is about to wait for this, which is not in the node cache. */
void prefetch_after(const struct fi_query *asked);

#endif
