/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * partial.h - partial copies: the directories beside DIR into which jobs unpack.
 *
 * A partial copy is called BASE.partial-HHHHHHHHHHHHHHHH, with 64 random bits, so that no other
 * user can take the name before. It holds the file NAME_MARK, on which the job has a flock(2). A
 * directory with such a name and such a mark, of this user, without a lock, is what a dead job has
 * left. Nothing else is ever removed.
 *
 * The marks also keep two jobs from staging into one DIR. Each makes its own partial copy first and
 * looks for others then, so that at least one of the two sees the other.
 */
#ifndef BCAST_STAGE_PARTIAL_H
#define BCAST_STAGE_PARTIAL_H

#include <stdbool.h>

#include "base/error.h"

enum {
    PARTIAL_NAME = 300,
    PARTIAL_TOKEN = 32 /* size of a job's token, which its partial copies on all nodes share */
};

enum partial_state { PARTIAL_NONE, PARTIAL_DEAD, PARTIAL_LIVE };

/* Makes a name that nobody can know. Returns 0, or -1. */
int partial_new_name(const char *base, char name[PARTIAL_NAME], struct error *err);

/* The random part of a name. */
const char *partial_number(const char *name);

/* Marks an open directory as a partial copy. Returns the descriptor that holds the lock, or -1 with
 * errno. */
int partial_mark(int dir, const char *token);

/* What is `name` in `parent`? PARTIAL_NONE if it is no partial copy of this user. */
enum partial_state partial_look(int parent, const char *base, const char *name,
                                char token[PARTIAL_TOKEN]);

/* Is there a partial copy of a living job, besides `mine`? `same`: of this job, else of another. */
bool partial_other(int parent, const char *base, const char *mine, const char *token, bool same);

/* Call it when `mine` exists. Waits for a bounded time until no other job has a partial copy. False
 * if another job has won. */
bool partial_claim(int parent, const char *base, const char *mine, const char *token);

/* Removes a partial copy; its mark goes last, so that a removal that was interrupted can be
 * completed later. */
int partial_remove(int parent, const char *name, struct error *err);

/* Removes the partial copies of dead jobs. Only for a job that has won by partial_claim(). */
int partial_remove_dead(int parent, const char *base, struct error *err);

#endif
