/* SPDX-License-Identifier: BSD-3-Clause */
/* objects.c - see objects.h */
#include "elf/objects.h"

#include <search.h>
#include <string.h>

#include "elf/dirs.h"

/* An entry of the tree of names. */
struct known_name {
    const char *name;
    struct fi_object *object;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct known_name *)a)->name, ((const struct known_name *)b)->name);
}

/* Registers a name. If it is known already it stays with its object, which is earlier in load
 * order. Returns 0 if memory is short. */
static int objects_add_name(struct fi_search *search, struct fi_object *object, const char *name)
{
    struct known_name *entry = fi_pool_alloc(search->pool, sizeof *entry);
    if (entry == NULL) {
        return 0;
    }
    *entry = (struct known_name){name, object};
    return tsearch(entry, &search->names, compare_names) != NULL;
}

struct fi_object *fi_objects_by_name(const struct fi_search *search, const char *name)
{
    const struct known_name wanted = {name, NULL};
    void *node = tfind(&wanted, &search->names, compare_names);
    return node != NULL ? (*(struct known_name **)node)->object : NULL;
}

static void objects_free_nothing(void *entry)
{
    (void)entry; /* the pool owns it */
}

void fi_objects_release(struct fi_search *search)
{
    tdestroy(search->names, objects_free_nothing);
    search->names = NULL;
}

static void objects_append(struct fi_search *search, struct fi_object *object)
{
    if (search->last != NULL) {
        search->last->next = object;
    } else {
        search->first = object;
    }
    search->last = object;
}

static struct fi_object *new_object(struct fi_search *search, const char *path)
{
    struct fi_object *object = fi_pool_alloc(search->pool, sizeof *object);
    if (object == NULL) {
        return NULL;
    }
    object->path = fi_pool_strdup(search->pool, path);
    object->origin = fi_origin_of(search->pool, path);
    return object->path != NULL && object->origin != NULL ? object : NULL;
}

struct fi_object *fi_objects_add(struct fi_search *search, const char *path,
                                 const struct fi_image *image)
{
    struct fi_object *object = new_object(search, path);
    if (object == NULL) {
        return NULL;
    }
    object->image = *image;
    objects_append(search, object);
    if (*path && !objects_add_name(search, object, object->path)) {
        return NULL;
    }
    if (image->soname != NULL && !objects_add_name(search, object, image->soname)) {
        return NULL;
    }
    return object;
}

static int add_loaded(struct fi_search *search, const struct fi_elf_loaded *loaded)
{
    const struct fi_image image = {.soname = loaded->soname};
    struct fi_object *object =
        fi_objects_add(search, loaded->path != NULL ? loaded->path : "", &image);
    if (object == NULL) {
        return 0;
    }
    object->already_loaded = 1;
    object->dev = loaded->dev;
    object->ino = loaded->ino;
    object->has_identity = object->identity_asked = loaded->dev || loaded->ino;
    if (loaded->name != NULL && *loaded->name && !objects_add_name(search, object, loaded->name)) {
        return 0;
    }
    for (const char *const *alias = loaded->aliases; alias != NULL && *alias != NULL; alias++) {
        if (!objects_add_name(search, object, *alias)) {
            return 0;
        }
    }
    return 1;
}

static struct fi_object *new_loader(struct fi_search *search, const struct fi_elf_loader *loader)
{
    struct fi_object *object = new_object(search, loader->path != NULL ? loader->path : "");
    if (object == NULL) {
        return NULL;
    }
    object->image.runpath = loader->runpath;
    object->image.rpath = loader->runpath != NULL ? NULL : loader->rpath;
    object->image.nodeflib = loader->nodeflib;
    return object;
}

/* Runs from the executable to the caller, so that the loader of each object exists already. */
static int init_loaders(struct fi_search *search)
{
    const struct fi_closure_request *request = search->request;
    for (size_t i = request->n_loaders; i-- > 0;) {
        struct fi_object *object = new_loader(search, &request->loaders[i]);
        if (object == NULL) {
            return 0;
        }
        if (search->executable == NULL) {
            search->executable = object;
        } else if (search->caller != search->executable) {
            object->loader = search->caller;
        }
        search->caller = object;
    }
    return search->executable != NULL;
}

int fi_objects_init(struct fi_search *search)
{
    for (size_t i = 0; i < search->request->n_loaded; i++) {
        if (!add_loaded(search, &search->request->loaded[i])) {
            return 0;
        }
    }
    return init_loaders(search);
}

static int objects_has_name(const struct fi_object *object, const char *name)
{
    for (size_t i = 0; i < object->n_names; i++) {
        if (strcmp(object->names[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

static int ask_identity(const struct fi_search *search, struct fi_object *object)
{
    const struct fi_elf_source *source = search->request->source;
    if (!object->identity_asked && *object->path) {
        object->has_identity =
            source->identity(source->ctx, object->path, &object->dev, &object->ino) == 0;
    }
    object->identity_asked = 1;
    return object->has_identity;
}

struct fi_object *fi_objects_by_identity(const struct fi_search *search,
                                         const struct fi_object *file)
{
    if (!file->has_identity) {
        return NULL;
    }
    for (struct fi_object *object = search->first; object != NULL; object = object->next) {
        if (ask_identity(search, object) && object->dev == file->dev && object->ino == file->ino) {
            return object;
        }
    }
    return NULL;
}

int fi_object_add_name(struct fi_search *search, struct fi_object *object, const char *name)
{
    if (objects_has_name(object, name)) {
        return 1;
    }
    if (!objects_add_name(search, object, name)) {
        return 0;
    }
    object->names = fi_pool_append(search->pool, object->names, object->n_names, name);
    if (object->names != NULL) {
        object->n_names++;
    }
    return object->names != NULL;
}
