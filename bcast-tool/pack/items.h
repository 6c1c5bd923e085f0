/* The files that go into an archive, found by walking directories. */
#ifndef BCAST_PACK_ITEMS_H
#define BCAST_PACK_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/pathmap.h"
#include "manifest/manifest.h"

struct item {
    char *source; /* where it is read */
    char *path;   /* in the archive */
    char *link;   /* symlinks: target; hardlinks: an earlier item's path; else NULL */
    struct stat st;
    enum entry_type type;
    bool base;    /* part of the base interpreter */
    bool dropped; /* not to be packed after all */
    uint64_t sum;
    char reloc[MANIFEST_RELOC];
};

struct items {
    struct item *list;
    size_t n, room;
    struct pathmap *links; /* internal: "device:inode" of files with several names -> first item */
    const char *const
        *exclude;    /* fnmatch patterns, NULL-terminated: a name, or a path from the top */
    const char *out; /* absolute path of the archive itself, left out */
};

/* Adds everything below directory `source` as `path` ("" is the top), in sorted order, parents
 * first. With `follow`, symlinks that lead out of `source` are packed as what they point to. */
int items_add_tree(struct items *it, const char *source, const char *path, bool follow,
                   struct error *err);

/* Adds one file or directory (without what is in it); symlinks are followed. */
int items_add_one(struct items *it, const char *source, const char *path, struct error *err);

void items_free(struct items *it);

#endif
