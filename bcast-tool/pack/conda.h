/* SPDX-License-Identifier: BSD-3-Clause */
/* conda.h - conda's own records of the files that hold the prefix: conda-meta/NAME.json,
 * paths_data.paths[] with _path, prefix_placeholder and file_mode ("text" or "binary"). */
#ifndef BCAST_PACK_CONDA_H
#define BCAST_PACK_CONDA_H

#include "base/error.h"
#include "base/pathmap.h"
#include "pack/items.h"

/* Puts 't' or 'b' into the field `layer` of each recorded path. An environment without records has
 * none. */
int conda_records(const struct items *it, struct pathmap *out, struct error *err);

#endif
