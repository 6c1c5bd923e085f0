/* SPDX-License-Identifier: BSD-3-Clause */
/* examine.h - reads every file that will be packed, once: its checksum, and whether and how it
 * holds a prefix. */
#ifndef BCAST_PACK_EXAMINE_H
#define BCAST_PACK_EXAMINE_H

#include "base/error.h"
#include "manifest/manifest.h"
#include "pack/items.h"

struct examine {
    struct items *items;
    const struct manifest_head *head; /* its prefixes are searched for */
    unsigned limited; /* the prefixes (one bit each) that count only in pyvenv.cfg */
    int threads;
};

/* Fills sum and reloc of all items. Drops the byte code of sources that relocation will change: it
 * would keep the old prefix, and the size of the source that it records would be wrong. */
int examine_items(const struct examine *x, struct error *err);

#endif
