/* Partial copies: directories beside DIR that belong to a job.
 *
 * A partial copy is called BASE.partial-HHHHHHHHHHHHHHHH, 64 random bits, so that no other user can
 * take the name before. In it is NAME_MARK, a file on which the job holds a flock. What has that
 * name, that mark and this user, and no lock, is left from a job that died. Nothing else is ever
 * removed.
 *
 * The marks also keep two jobs from staging into one DIR: each makes its own first, and looks for
 * others then. So at least one of the two sees the other.
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

/* A name that nobody knows yet. 0, or -1. */
int partial_new_name(const char *base, char name[PARTIAL_NAME], struct error *err);

/* The random part of a name. */
const char *partial_number(const char *name);

/* Marks an open directory. Returns the descriptor that holds the lock, or -1 with errno. */
int partial_mark(int dir, const char *token);

/* What is this name in `parent`? NONE: not a partial copy of this user. */
enum partial_state partial_look(int parent, const char *base, const char *name,
                                char token[PARTIAL_TOKEN]);

/* Is there another job's (`same`: one more of this job's) live partial copy? */
bool partial_other(int parent, const char *base, const char *mine, const char *token, bool same);

/* After mine was made: waits, for a bounded time, until no other job has one. False: another has.
 */
bool partial_claim(int parent, const char *base, const char *mine, const char *token);

/* The mark goes last, so that a removal that is broken off can be done again. */
int partial_remove(int parent, const char *name, struct error *err);

/* All that jobs left which died. Only for who has claimed. */
int partial_remove_dead(int parent, const char *base, struct error *err);

#endif
