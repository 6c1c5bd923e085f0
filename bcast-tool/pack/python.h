/* The interpreter that a virtual environment stands on. */
#ifndef BCAST_PACK_PYTHON_H
#define BCAST_PACK_PYTHON_H

#include "base/error.h"
#include "pack/items.h"

#define PYTHON_BASE ".base" /* where it goes in the tree */

struct python {
    char *prefix;              /* its installation prefix */
    char *executable;          /* real path */
    char *stdlib, *platstdlib; /* directories; the same if both are one */
    char *libpython;           /* shared library, or NULL */
};

/* Asks the interpreter of the environment at `prefix`. */
int python_find(const char *prefix, struct python *p, struct error *err);
void python_free(struct python *p);

/* Adds executable, standard library and libpython below PYTHON_BASE, without site-packages. */
int python_add(const struct python *p, struct items *it, struct error *err);

/* Points the environment's links to the interpreter at the copy. */
void python_relink(const struct python *p, struct items *it);

/* Is it a prefix of the operating system, which must not be replaced wherever it occurs? */
bool python_system_prefix(const char *prefix);

#endif
