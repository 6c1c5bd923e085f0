/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * needs.h - what the stub of one dlopen names, in ld.so's mapping order.
 *
 * A library that is not loaded yet is named by its file: in the mirror, or where it is. One that is
 * loaded is named by its SONAME, so that it takes its place in the scope. Names by which the closure
 * will ask, and which ld.so cannot know, are named, too.
 *
 * Internal to dlopen/load.c. Calling order: fill in `node` and `map`; needs_prepare() and
 * needs_all(); needs_free(). Thread rules: one thread for each struct.
 */
#ifndef FASTIMPORT_DLOPEN_NEEDS_H
#define FASTIMPORT_DLOPEN_NEEDS_H

#include "cache/library_record.h"
#include "cache/mirror.h"
#include "dlopen/originals.h"
#include "ldso/linkmap.h"

enum { WHY_MAX = 256 };

struct needs {
    struct node_cache *node;
    const struct linkmap_list *map;
    char **needed; /* owned */
    size_t n, room;
    /* owned; directories in which the odd names are found, in order; NULL: none */
    char *rpath;
    struct originals originals; /* what the partial copies among them lack */
    char why[WHY_MAX];          /* why the library is left to ld.so */
};

/* Adds all libraries of the record. `target` is the file of the requested one. Returns false if
 * something cannot be named; `why` may say what. */
bool needs_all(struct needs *needs, const struct record *record, const char *target);

/* Adds one name. */
bool needs_add(struct needs *needs, const char *name);

/* The file to map for a path of the record: a copy in the mirror, or the path itself. Returns false
 * if it is too long. */
bool needs_source(const struct needs *needs, bool ours, const char *path,
                  char out[MIRROR_PATH_MAX]);

/* Prepares what the file of a path lacks. Returns false, and says why, if the file must not be
 * mapped. */
bool needs_prepare(struct needs *needs, bool ours, const char *path, const char *file);

/* Does ld.so know this library? */
bool needs_is_loaded(const struct linkmap_list *map, const struct library_item *item);

void needs_free(struct needs *needs);

#endif
