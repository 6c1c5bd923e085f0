/* SPDX-License-Identifier: BSD-3-Clause */
/* finalize.h - the last steps, once all entries of all layers are there: relocates what came
 * without a manifest, writes one manifest of the tree, and gives the directories their modes and
 * times. */
#ifndef BCAST_STAGE_FINALIZE_H
#define BCAST_STAGE_FINALIZE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/pathmap.h"

#define FINALIZE_DIRS ".python-mpi-bcast/directories" /* a manifest of the directories alone */

struct finalize {
    int top; /* the partial copy; it holds NAME_OWN "/layer.N" and FINALIZE_DIRS */
    int layers;
    struct pathmap *replaced; /* path -> number of the last layer that holds it */
    const char *dir;          /* the new prefix */
    const char *old_prefix;   /* NULL: find out */
    bool unlisted;            /* a layer had no manifest */
};

int finalize_tree(const struct finalize *s, struct error *err);

#endif
