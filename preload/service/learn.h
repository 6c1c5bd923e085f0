/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * learn.h - learns, for the plan, which parts of its libraries the root touches at its start, so
 * that the next start sends just these (fill/mapped.h).
 *
 * The root looks when its program has asked for nothing for QUIET_NS: its imports are over, and what it
 * computes with the libraries should not count. If it imports more afterwards it looks again, and at
 * the end.
 *
 * Thread rules: the root's service thread.
 */
#ifndef FASTIMPORT_SERVICE_LEARN_H
#define FASTIMPORT_SERVICE_LEARN_H

#include "cache/node.h"
#include "plan/plan.h"

/* Makes known what the plan has learnt. Before the program runs. */
void learn_remember(const struct plan *plan);

/* Looks, if it is time. Call it in each round. */
void learn_when_quiet(struct plan *plan, const struct node_cache *node);

/* Looks once more, if something was asked for since. */
void learn_at_end(struct plan *plan, const struct node_cache *node);

#endif
