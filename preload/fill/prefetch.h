/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prefetch.h - looks up what an import will ask for next, while the program waits for what it asks
 * for now.
 *
 * A program asks a file system one question after the other, each of which takes a round trip.
 * For an import the next question is known (CPython's importlib/_bootstrap_external.py,
 * FileFinder and SourceLoader). So the root does this:
 *
 * - When a package's __init__ is asked for with the first of its possible suffixes, the root lists
 *   the package's directory. The listing answers for the other suffixes, and will be needed anyway
 *   when a submodule is imported. Meanwhile helpers look up __init__.py and its bytecode.
 * - While a module's source is looked up, a helper reads the module's bytecode. The ending of the
 *   bytecode's name is learned from the first one that is opened.
 *
 * Both are done only for names that the listing of the directory shows, so the number of operations
 * does not grow: a package from which nothing else is imported is listed instead of asked for three
 * times. Only a namespace package costs one or two more.
 *
 * Calling order: prefetch_start() once, in the root, by the service thread. Before that, and in
 * other ranks, prefetch_after() does nothing.
 *
 * Thread rules: prefetch_after() in any thread, also in signal handlers.
 */
#ifndef FASTIMPORT_FILL_PREFETCH_H
#define FASTIMPORT_FILL_PREFETCH_H

#include "fill/fill.h"
#include "policy/policy.h"

/* hand_over() passes a claimed query (segment_claim()) to a thread that calls fill_and_unclaim().
 * It returns false if no thread takes it. All arguments must live as long as the process. */
void prefetch_start(struct fill *fill, const struct policy *policy,
                    bool (*hand_over)(const struct fi_query *query));

/* The program is about to wait for `asked`, which is not in the node cache. */
void prefetch_after(const struct fi_query *asked);

#endif
