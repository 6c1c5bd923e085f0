/* SPDX-License-Identifier: BSD-3-Clause */
/* python.h - the base interpreter of a virtual environment. */
#ifndef BCAST_PACK_PYTHON_H
#define BCAST_PACK_PYTHON_H

#include "base/error.h"
#include "pack/items.h"

#define PYTHON_BASE ".base" /* the directory of the tree that it is packed into */

struct python {
    char *prefix;              /* the real path of its installation prefix */
    char *named;               /* how the environment names that, maybe by links */
    char *executable;          /* its real path */
    char *stdlib, *platstdlib; /* its directories; they are the same if it has one */
    char *libpython;           /* its shared library, or NULL */
};

/* Asks the interpreter of the environment at `prefix`. */
int python_find(const char *prefix, struct python *p, struct error *err);
void python_free(struct python *p);

/* Adds the executable, the standard library without site-packages, and libpython below PYTHON_BASE.
 */
int python_add(const struct python *p, struct items *it, struct error *err);

/* Points the environment's links to the interpreter at the copy. */
void python_relink(const struct python *p, struct items *it);

/* Is it a prefix of the operating system? Files name these for other reasons, too, so they must not
 * be replaced everywhere. */
bool python_system_prefix(const char *prefix);

#endif
