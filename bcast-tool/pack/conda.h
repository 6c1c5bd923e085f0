/* conda's own records of which files hold the prefix: conda-meta/NAME.json, paths_data.paths[] with
 * _path, prefix_placeholder and file_mode ("text", "binary"). */
#ifndef BCAST_PACK_CONDA_H
#define BCAST_PACK_CONDA_H

#include "base/error.h"
#include "base/pathmap.h"
#include "pack/items.h"

/* Puts 't' or 'b' into `layer` of each recorded path. Environments without records have none. */
int conda_records(const struct items *it, struct pathmap *out, struct error *err);

#endif
