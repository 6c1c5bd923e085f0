/* SPDX-License-Identifier: BSD-3-Clause */
/* compute.c - see closure.h */
#include "elf/closure.h"

#include <string.h>

#include "elf/objects.h"
#include "elf/search.h"

int fi_closure_abi(void)
{
    return FI_CLOSURE_ABI;
}

static int is_optional(const struct fi_object *object, const char *name)
{
    for (size_t i = 0; i < object->image.n_optional; i++) {
        if (object->image.optional[i] == name) {
            return 1;
        }
    }
    return 0;
}

static int add_dep(struct fi_search *search, struct fi_object *object, struct fi_object *dep)
{
    object->deps = fi_pool_append(search->pool, object->deps, object->n_deps, dep);
    if (object->deps != NULL) {
        object->n_deps++;
    }
    return object->deps != NULL;
}

/* Maps what one object needs, and appends new objects to the breadth-first list. Objects that are
 * loaded already have all that they need. */
static enum fi_found compute_expand(struct fi_search *search, struct fi_object *object,
                                    struct fi_object **tail)
{
    for (size_t i = 0; i < object->image.n_needed; i++) {
        struct fi_object *dep = NULL;
        struct fi_object *last = search->last;
        const char *name = object->image.needed[i];
        enum fi_found found = fi_search_map(search, object, name, &dep);
        if (found != FI_FOUND && found != FI_NO_MEMORY && is_optional(object, name)) {
            continue;
        }
        if (found != FI_FOUND) {
            return found;
        }
        if (search->last != last) {
            dep->loader = object;
        }
        if (!add_dep(search, object, dep)) {
            return FI_NO_MEMORY;
        }
        dep->by_path |= strchr(name, '/') != NULL && strchr(name, '$') == NULL;
        if (dep->listed) {
            continue;
        }
        dep->listed = 1;
        (*tail)->next_listed = dep;
        *tail = dep;
    }
    return FI_FOUND;
}

/* Breadth-first, as ld.so maps: an object that is met first registers its names first. */
static enum fi_found compute_walk(struct fi_search *search, struct fi_object *root, size_t *n)
{
    struct fi_object *tail = root;
    root->listed = 1;
    *n = 0;
    for (struct fi_object *object = root; object != NULL; object = object->next_listed) {
        object->mapped = (*n)++;
        if (object->already_loaded) {
            continue;
        }
        enum fi_found found = compute_expand(search, object, &tail);
        if (found != FI_FOUND) {
            return found;
        }
    }
    return FI_FOUND;
}

/* The constructor order, while it is being built. */
struct order {
    const struct fi_object *root;
    struct fi_object **items;
    size_t n;
};

/* As glibc's _dl_sort_maps: depth-first from each object, so that what is needed comes before what
 * needs it. The root is left out. */
static void compute_place(struct order *order, struct fi_object *object)
{
    object->visited = 1;
    for (size_t i = 0; i < object->n_deps; i++) {
        if (!object->deps[i]->visited && object->deps[i] != order->root) {
            compute_place(order, object->deps[i]);
        }
    }
    object->placed = 1;
    order->items[order->n++] = object;
}

/* Starts from the end of the breadth-first list. The root comes last, whatever needs it. */
static struct fi_object **compute_order(struct fi_pool *pool, struct fi_object *root, size_t n)
{
    struct fi_object **list = fi_pool_pointers(pool, n);
    struct order order = {root, fi_pool_pointers(pool, n), 0};
    if (list == NULL || order.items == NULL) {
        return NULL;
    }
    size_t i = 0;
    for (struct fi_object *object = root; object != NULL; object = object->next_listed) {
        list[i++] = object;
    }
    while (--i > 0) {
        if (!list[i]->visited) {
            compute_place(&order, list[i]);
        }
    }
    order.items[order.n] = root;
    return order.items;
}

static enum fi_found write_libs(struct fi_search *search, struct fi_object **order, size_t n,
                                struct fi_closure *out)
{
    out->libs = fi_pool_alloc(search->pool, n * sizeof *out->libs);
    if (out->libs == NULL) {
        return FI_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        order[i]->placed = 0;
    }
    for (size_t i = 0; i < n; i++) {
        const struct fi_object *object = order[i];
        struct fi_closure_lib *lib = &out->libs[i];
        *lib = (struct fi_closure_lib){.path = object->path,
                                       .soname = object->image.soname,
                                       .names = object->names,
                                       .already_loaded = object->already_loaded,
                                       .by_path = object->by_path,
                                       .has_rpath = object->image.rpath != NULL,
                                       .mapped = object->mapped};
        for (size_t d = 0; d < object->n_deps; d++) {
            lib->in_cycle |= object->deps[d] != object && !object->deps[d]->placed;
            out->root_is_needed |= object->deps[d] == order[n - 1] && i < n - 1;
        }
        order[i]->placed = 1;
    }
    out->n_libs = n;
    return FI_FOUND;
}

static enum fi_found elf_compute(struct fi_search *search, struct fi_closure *out)
{
    struct fi_object *root = NULL;
    size_t n = 0;
    if (!fi_objects_init(search) || !fi_search_init(search)) {
        return FI_NO_MEMORY;
    }
    enum fi_found found = fi_search_map(search, search->caller, search->request->path, &root);
    if (found == FI_FOUND) {
        found = compute_walk(search, root, &n);
    }
    if (found != FI_FOUND) {
        return found;
    }
    struct fi_object **order = compute_order(search->pool, root, n);
    return order != NULL ? write_libs(search, order, n, out) : FI_NO_MEMORY;
}

static enum fi_closure_status status_of(enum fi_found found)
{
    switch (found) {
    case FI_FOUND:
        return FI_CLOSURE_OK;
    case FI_REFUSED:
        return FI_CLOSURE_NOT_ELF;
    case FI_NO_MEMORY:
        return FI_CLOSURE_NO_MEMORY;
    default:
        return FI_CLOSURE_NOT_FOUND;
    }
}

enum fi_closure_status fi_closure_compute(const struct fi_closure_request *request,
                                          struct fi_closure *out)
{
    struct fi_pool pool = {0};
    struct fi_search search = {.pool = &pool, .request = request};
    *out = (struct fi_closure){0};
    enum fi_closure_status status = status_of(elf_compute(&search, out));
    fi_objects_release(&search);
    out->culprit = status == FI_CLOSURE_OK ? NULL : search.culprit;
    out->probed = search.probed;
    out->memory = pool.chunks;
    return status;
}

void fi_closure_free(struct fi_closure *closure)
{
    struct fi_pool pool = {closure->memory};
    fi_pool_release(&pool);
    *closure = (struct fi_closure){0};
}
