/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * announce_change.h - what of a change the other nodes are told: the directory of the changed name,
 * and the object if it has names elsewhere (announce.h).
 *
 * Calling order: serving_start() (process/serving.h) first; then after the change, before the call
 * that made it returns. Thread rules: as announce.h. Paths are normal and below or above a root.
 */
#ifndef FASTIMPORT_INVALIDATE_ANNOUNCE_CHANGE_H
#define FASTIMPORT_INVALIDATE_ANNOUNCE_CHANGE_H

#include <sys/stat.h>

#include "base/path.h"

/* After any change of what this path names, or of the name. */
void announce_change(const struct fi_path *path);

/* In addition, with the attributes that the object had before: its permissions were changed; one of
 * its names was removed. */
void announce_permissions(const struct fi_path *path, const struct stat *before);
void announce_removed(const struct fi_path *path, const struct stat *before);
/* And with those of the directory of the name: the change may have closed the way to it. */
void announce_directory_of(const struct fi_path *path, const struct stat *before);

#endif
