/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * objects.h - the objects that ld.so would have in its link map, and how it recognises one of them.
 *
 * Internal to the closure; there is one struct fi_search for each fi_closure_compute(). The pool
 * owns the objects.
 */
#ifndef FASTIMPORT_ELF_OBJECTS_H
#define FASTIMPORT_ELF_OBJECTS_H

#include <stddef.h>

#include "elf/closure.h"
#include "elf/image.h"
#include "elf/pool.h"

struct fi_object {
    struct fi_object *next;   /* in load order */
    struct fi_object *loader; /* the object that needed it first; NULL if it was dlopened */
    const char *path;         /* l_name, made absolute */
    const char *origin;
    const char **names; /* names by which it was asked for; NULL-terminated */
    size_t n_names;
    struct fi_image image;
    int has_identity, identity_asked;
    unsigned long dev, ino;
    int already_loaded;
    const char **rpath_places, **runpath_places; /* computed at first use */
    /* objects that it needs, in its order; NULL-terminated */
    struct fi_object **deps;
    size_t n_deps;
    struct fi_object *next_listed; /* next in the breadth-first list */
    size_t mapped;                 /* its index in that list */
    int listed, visited, placed;
    int by_path; /* see struct fi_closure_lib */
};

/* The state of one computation. */
struct fi_search {
    struct fi_pool *pool;
    const struct fi_closure_request *request;
    const struct fi_elf_host *host;
    struct fi_object *first, *last; /* all objects, in load order */
    /* tsearch(3) tree: for each name the first object in load order */
    void *names;
    struct fi_object *executable; /* not in that list; for its RPATH and origin */
    struct fi_object *caller;     /* the nearest loader; the executable if there is no other */
    const char **env_places, **system_places;
    size_t probed;
    const char *culprit;
};

enum fi_found {
    FI_FOUND,
    FI_ABSENT,  /* not found here, search on */
    FI_REFUSED, /* ld.so would stop here with an error */
    FI_UNSURE,  /* only ld.so can decide */
    FI_NO_MEMORY,
};

/* Creates the objects of the request's loaded libraries and loaders. Returns 0 if memory is short.
 * Call fi_objects_release() in either case. */
int fi_objects_init(struct fi_search *search);
void fi_objects_release(struct fi_search *search);

/* Appends a new object, known by its path and its SONAME. NULL: memory is short. */
struct fi_object *fi_objects_add(struct fi_search *search, const char *path,
                                 const struct fi_image *image);

/* The object that ld.so knows by this name, or NULL. */
struct fi_object *fi_objects_by_name(const struct fi_search *search, const char *name);

/* The object that is this file, or NULL. Calls source->identity() for objects whose identity is not
 * known. */
struct fi_object *fi_objects_by_identity(const struct fi_search *search,
                                         const struct fi_object *file);

/* Records that the object was asked for by a name. Returns 0 if memory is short. */
int fi_object_add_name(struct fi_search *search, struct fi_object *object, const char *name);

#endif
