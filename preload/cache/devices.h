/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devices.h - makes a record of the root one of this node: a file system has another st_dev on each
 * node that mounts it, and programs compare it (os.path.samefile, shutil.rmtree) with what the
 * kernel says of files that are not served.
 *
 * Thread rules: pure functions.
 */
#ifndef FASTIMPORT_CACHE_DEVICES_H
#define FASTIMPORT_CACHE_DEVICES_H

#include "cache/record.h"
#include "policy/mount_check.h"

/* Changes the device numbers in a sound record that is not in a segment yet, and seals it anew. */
void devices_translate(struct record *record, const struct device_map *map);

#endif
