/* library.c - see library.h */
#include "answer/library.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "base/linkmap.h"
#include "base/log.h"
#include "base/path.h"
#include "cache/mirror.h"
#include "fill/library.h"

/* Gives an object its original name, in place: the original is the tail of the mirror's name, and ld.so will free the
 * string. */
static void restore_name(const struct node_cache *node, void *handle)
{
    size_t prefix = node->directory_length + strlen("/files");
    struct link_map *map = NULL;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && strncmp(map->l_name, node->directory, node->directory_length) == 0 &&
        strncmp(map->l_name + node->directory_length, "/files/", 7) == 0) {
        memmove(map->l_name, map->l_name + prefix, strlen(map->l_name + prefix) + 1);
    }
}

static void *load(const struct node_cache *node, const struct library_item *item, int flags, library_dlopen *real_dlopen)
{
    char name[FI_PATH_MAX + 512];
    void *handle;

    if ((item->bits & LIBRARY_OURS) == 0) {
        return real_dlopen(item->path, flags);
    }
    if (!mirror_path(node, item->path, name, sizeof name)) {
        return NULL;
    }
    handle = real_dlopen(name, flags);
    if (handle != NULL) {
        restore_name(node, handle);
    }
    return handle;
}

static bool is_loaded(const struct library_item *item)
{
    if (item->soname[0] != '\0') {
        return linkmap_has(item->soname);
    }
    return linkmap_has(item->path);
}

/* Handles of the libraries that were loaded first; they are given back once the requested one holds them. */
struct held {
    void **handles;
    size_t n;
};

static void release(struct held *held)
{
    while (held->n > 0) {
        dlclose(held->handles[--held->n]);
    }
    free(held->handles);
}

static size_t count_items(const struct record *r)
{
    struct library_item item;
    size_t at = 0;
    size_t n = 0;

    while (library_next(r, &at, &item)) {
        n++;
    }
    return n;
}

/* Loads all but the last item; false if one fails. `last` is filled in. */
static bool load_needed(const struct node_cache *node, const struct record *r, struct held *held, struct library_item *last,
                        library_dlopen *real_dlopen)
{
    size_t n = count_items(r);
    size_t at = 0;

    held->handles = calloc(n + 1, sizeof *held->handles);
    if (n == 0 || held->handles == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        library_next(r, &at, last);
        if (i + 1 == n || is_loaded(last)) {
            continue;
        }
        held->handles[held->n] = load(node, last, RTLD_LAZY | RTLD_LOCAL, real_dlopen);
        if (held->handles[held->n] == NULL) {
            fi_log(LOG_DEBUG, "%s cannot be loaded on its own: %s", last->path, dlerror());
            return false;
        }
        held->n++;
    }
    return true;
}

void *answer_library(const struct node_cache *node, const struct record *r, int flags, library_dlopen *real_dlopen)
{
    struct held held = {0};
    struct library_item last;
    void *handle = NULL;

    if (!node->may_execute) {
        return NULL;
    }
    if (load_needed(node, r, &held, &last, real_dlopen)) {
        handle = load(node, &last, flags, real_dlopen);
    }
    release(&held);
    if (handle == NULL) {
        (void)dlerror(); /* ours; the real call will say what is wrong */
    }
    return handle;
}
