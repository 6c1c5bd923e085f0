/* Reads every file to be packed once: checksum, and whether and how it holds a prefix. */
#ifndef BCAST_PACK_EXAMINE_H
#define BCAST_PACK_EXAMINE_H

#include "base/error.h"
#include "manifest/manifest.h"
#include "pack/items.h"

struct examine {
    struct items *items;
    const struct manifest_head *head; /* its prefixes are looked for */
    unsigned limited;                 /* prefixes (one bit each) that count in pyvenv.cfg only */
    int threads;
};

/* Fills sum and reloc of all items. Byte code of sources that will change is dropped: it would keep
 * the old prefix, and its record of the source's size would be wrong. */
int examine_items(const struct examine *x, struct error *err);

#endif
