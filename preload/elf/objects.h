/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * objects.h - the objects that ld.so would have in its link map, and how it recognises one that it
 * has.
 *
 * Internal to the closure; one struct fi_search per fi_closure_compute().
 */
#ifndef FASTIMPORT_ELF_OBJECTS_H
#define FASTIMPORT_ELF_OBJECTS_H

#include <stddef.h>

#include "elf/closure.h"
#include "elf/image.h"
#include "elf/pool.h"

struct fi_object {
    struct fi_object *next;   /* in load order */
    struct fi_object *loader; /* who needed it first; NULL for what was dlopened */
    const char *path;         /* l_name, made absolute */
    const char *origin;
    const char **names; /* NULL-terminated: by which it was asked for */
    size_t n_names;
    struct fi_image image;
    int has_identity, identity_asked;
    unsigned long dev, ino;
    int already_loaded;
    const char **rpath_places, **runpath_places; /* worked out at the first use */
    struct fi_object **deps;                     /* what it needs, in its order; NULL-terminated */
    size_t n_deps;
    struct fi_object *next_listed; /* breadth-first list */
    size_t mapped;                 /* its place in that list */
    int listed, visited, placed;
    int by_path; /* see struct fi_closure_lib */
};

/* One computation. */
struct fi_search {
    struct fi_pool *pool;
    const struct fi_closure_request *request;
    const struct fi_elf_host *host;
    struct fi_object *first, *last; /* all objects, in load order */
    void *names;                    /* tsearch(3) tree: each name's first object in load order */
    struct fi_object *executable;   /* not in that list: its RPATH and origin */
    struct fi_object *caller;       /* the nearest loader; the executable if there is no other */
    const char **env_places, **system_places;
    size_t probed;
    const char *culprit;
};

enum fi_found {
    FI_FOUND,
    FI_ABSENT,  /* not here, look on */
    FI_REFUSED, /* ld.so stops here with an error */
    FI_UNSURE,  /* only ld.so can tell */
    FI_NO_MEMORY,
};

/* Makes objects of the request's loaded ones and loaders. 0: out of memory. release() is due in any
 * case. */
int fi_objects_init(struct fi_search *search);
void fi_objects_release(struct fi_search *search);

/* A new object at the end of the list, known by its path and SONAME; NULL: out of memory. */
struct fi_object *fi_objects_add(struct fi_search *search, const char *path,
                                 const struct fi_image *image);

/* The object that ld.so knows by this name, or NULL. */
struct fi_object *fi_objects_by_name(const struct fi_search *search, const char *name);

/* The object that is this file, or NULL; asks the source for identities where they are not known.
 */
struct fi_object *fi_objects_by_identity(const struct fi_search *search,
                                         const struct fi_object *file);

/* Notes that the object was asked for by a name. 0: out of memory. */
int fi_object_add_name(struct fi_search *search, struct fi_object *object, const char *name);

#endif
