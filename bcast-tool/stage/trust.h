/* May what lies in this directory be believed? Only if no other user could have put it there, or
 * can replace it: as ssh's StrictModes.
 *
 * A directory is safe if it belongs to this user or to root, and others may not write to it. On the
 * way to DIR a sticky directory (/tmp) will do, for what is looked up in it is checked in turn.
 * Everything is asked of open descriptors, so that what was checked is what is used.
 */
#ifndef BCAST_STAGE_TRUST_H
#define BCAST_STAGE_TRUST_H

#include "base/error.h"

/* Opens a directory for reading, after a check of every directory and symlink on the way to it and
 * of itself. Returns a descriptor, or -1. */
int trust_open(const char *path, struct error *err);

/* Is `top`, an open directory whose way is safe, safe itself, with what `stage` has written into
 * it? Here a sticky directory will not do. `dir` is its name, for the message. 0, or -1. */
int trust_tree(int top, const char *dir, struct error *err);

/* Both in one. */
int trust_open_tree(const char *dir, struct error *err);

#endif
