/* SPDX-License-Identifier: BSD-3-Clause */
/* items.h - the files that go into an archive, found by walking directories. */
#ifndef BCAST_PACK_ITEMS_H
#define BCAST_PACK_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/pathmap.h"
#include "manifest/manifest.h"

struct item {
    char *source; /* the path from which it is read */
    char *path;   /* its path in the archive */
    char *link;   /* symlink: its target; hardlink: the path of an earlier item; else NULL */
    struct stat st;
    enum entry_type type;
    bool base;    /* it is part of the base interpreter */
    bool dropped; /* it will not be packed after all */
    uint64_t sum;
    char reloc[MANIFEST_RELOC];
};

/* What becomes of symlinks that lead out of the tree. KEEP: they stay links. FOLLOW: what they point to
 * is packed in their place. NEEDED: the same, where they are in a directory of an environment (bin,
 * lib, ...) and do not point to the operating system, which every node has. With both, the links to
 * the interpreter in bin/ stay links, as do links to nothing; and a link that stays one becomes
 * absolute. FILES: links to files are packed as these, others are left out. */
enum items_outside { OUTSIDE_KEEP, OUTSIDE_NEEDED, OUTSIDE_FOLLOW, OUTSIDE_FILES };

struct items {
    struct item *list;
    size_t n, room;
    struct pathmap *links; /* internal: "device:inode" of a file with several names -> first item */
    /* fnmatch(3) patterns for names, or for paths from the top; ends with NULL. */
    const char *const *exclude;
    const char *out;            /* absolute path of the archive itself, which is left out */
    enum items_outside outside; /* what items_add_tree() does with symlinks that lead out of it */
    const char *interpreter;    /* the real path of the environment's Python, or NULL */
    size_t n_outside;           /* so many links out were followed; the first one: */
    char *first_outside, *first_target;
    const struct outside *followed; /* internal: the links out that led here */
    const char *top;                /* internal: the real path of the tree */
};

/* Adds the directory `source`, and all that is below it, as `path` ("" is the top). Names are
 * sorted; parents come first. */
int items_add_tree(struct items *it, const char *source, const char *path, struct error *err);

/* Adds one file, or one directory without what is in it. Follows symlinks. */
int items_add_one(struct items *it, const char *source, const char *path, struct error *err);

void items_free(struct items *it);

#endif
