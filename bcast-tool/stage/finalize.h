/* What is left to do once all entries of all layers are there: relocate what came without a
 * manifest, write one manifest of what is there now, give the directories their modes and times. */
#ifndef BCAST_STAGE_FINALIZE_H
#define BCAST_STAGE_FINALIZE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/pathmap.h"

#define FINALIZE_DIRS ".python-mpi-bcast/directories" /* a manifest of directories only */

struct finalize {
    int top; /* the partial tree; NAME_OWN "/layer.N" and FINALIZE_DIRS are in it */
    int layers;
    struct pathmap *replaced; /* path -> number of the last layer that holds it */
    const char *dir;          /* new prefix */
    const char *old_prefix;   /* or NULL */
    bool unlisted;            /* some layer had no manifest */
};

int finalize_tree(const struct finalize *s, struct error *err);

#endif
