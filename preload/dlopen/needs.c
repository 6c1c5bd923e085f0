/* SPDX-License-Identifier: BSD-3-Clause */
/* needs.c - see needs.h */
#include "dlopen/needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/sys.h"

void needs_free(struct needs *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->needed[i]);
    }
    free(l->needed);
    free(l->rpath);
    originals_release(&l->originals);
}

bool needs_add(struct needs *l, const char *name)
{
    char *copy = strchr(name, '$') == NULL ? strdup(name) : NULL; /* ld.so would expand it */

    if (l->n == l->room) {
        size_t room = l->room == 0 ? 16 : 2 * l->room;
        char **more = realloc(l->needed, room * sizeof *more);

        if (more == NULL) {
            free(copy);
            return false;
        }
        l->needed = more;
        l->room = room;
    }
    if (copy != NULL) {
        l->needed[l->n++] = copy;
    }
    return copy != NULL;
}

bool needs_source(const struct needs *l, bool ours, const char *path, char out[MIRROR_PATH_MAX])
{
    if (ours) {
        return mirror_copy_path(l->node, path, extents_version_of(mirror_library(l->node, path)),
                                out, MIRROR_PATH_MAX);
    }
    return snprintf(out, MIRROR_PATH_MAX, "%s", path) < MIRROR_PATH_MAX;
}

bool needs_prepare(struct needs *l, bool ours, const char *path, const char *file)
{
    const struct record *content = ours ? mirror_library(l->node, path) : NULL;
    const char *why = content == NULL ? NULL : originals_add(&l->originals, content, file);

    if (why != NULL) {
        snprintf(l->why, sizeof l->why, "%s %s", path, why);
    }
    return why == NULL;
}

/* Names the file of a path of the record. */
static bool needs_file(struct needs *l, const struct library_item *item, const char *path)
{
    bool ours = (item->bits & LIBRARY_OURS) != 0;
    char file[MIRROR_PATH_MAX];

    return needs_source(l, ours, path, file) && needs_prepare(l, ours, path, file) &&
           needs_add(l, file);
}

static bool is_there(const char *directory, size_t length, const char *name)
{
    char path[MIRROR_PATH_MAX];

    return snprintf(path, sizeof path, "%.*s/%s", (int)length, directory, name) <
               (int)sizeof path &&
           sys_access(path, 0, false) == 0;
}

/* Appends a directory to the stub's RPATH, so that ld.so finds `name` there. Returns false if an
 * earlier directory has this name, too. */
static bool search_in(struct needs *l, const char *directory, size_t length, const char *name)
{
    size_t old = l->rpath == NULL ? 0 : strlen(l->rpath);
    char *grown;

    if (memchr(directory, ':', length) != NULL || memchr(directory, '$', length) != NULL ||
        !is_there(directory, length, name)) {
        return false;
    }
    for (const char *at = l->rpath; at != NULL && *at != '\0';
         at += at[strcspn(at, ":")] == ':' ? strcspn(at, ":") + 1 : strlen(at)) {
        size_t n = strcspn(at, ":");

        if (n == length && strncmp(at, directory, n) == 0) {
            return true;
        }
        if (is_there(at, n, name)) {
            return false;
        }
    }
    grown = realloc(l->rpath, old + length + 2);
    if (grown == NULL) {
        return false;
    }
    l->rpath = grown;
    sprintf(grown + old, "%s%.*s", old > 0 ? ":" : "", (int)length, directory);
    return true;
}

/* Names a library to ld.so by a name that is not its SONAME. If ld.so did not know this name, it
 * would search for it. */
static bool needs_by_name(struct needs *l, const struct library_item *item, const char *name)
{
    char file[MIRROR_PATH_MAX];

    return needs_source(l, (item->bits & LIBRARY_OURS) != 0, item->path, file) &&
           search_in(l, file, path_parent_length(file, strlen(file)), name) && needs_add(l, name);
}

/* Makes one name known by which the library will be asked for. Returns false if that is not
 * possible. */
static bool needs_odd_name(struct needs *l, const struct library_item *item, const char *name)
{
    return strchr(name, '/') == NULL ? needs_by_name(l, item, name) : needs_file(l, item, name);
}

/* Makes all names known by which ld.so will ask and which it cannot know by itself; *n is their
 * number. Returns false if one is not possible: for example a path below the roots, written into a
 * library, which ld.so would open. */
static bool needs_odd_names(struct needs *l, const struct library_item *item, bool loaded,
                            size_t *n)
{
    const unsigned original = LIBRARY_BY_PATH | LIBRARY_OURS;

    *n = 0;
    for (const char *name = item->names; *name != '\0'; name += strlen(name) + 1) {
        if (strcmp(name, item->soname) == 0) {
            continue;
        }
        if (strchr(name, '/') != NULL && (item->bits & original) == original && !loaded) {
            return false;
        }
        if (strcmp(name, item->path) != 0) {
            if (!needs_odd_name(l, item, name)) {
                return false;
            }
            ++*n;
        }
    }
    return true;
}

bool needs_is_loaded(const struct linkmap_list *map, const struct library_item *item)
{
    return linkmap_has(map, item->path) ||
           (item->soname[0] != '\0' && linkmap_has(map, item->soname));
}

static bool needs_item(struct needs *l, const struct library_item *item)
{
    bool loaded = needs_is_loaded(l->map, item);
    size_t odd;

    if (loaded && item->soname[0] != '\0') {
        return needs_add(l, item->soname); /* it takes its place in the scope */
    }
    if (!needs_odd_names(l, item, loaded, &odd)) {
        snprintf(l->why, sizeof l->why, "ld.so would search for %s under another name", item->path);
        return false;
    }
    if (odd == 0 && !loaded && strchr(item->path, '$') != NULL) {
        snprintf(l->why, sizeof l->why, "%s has a dollar sign in its name", item->path);
        return false;
    }
    return odd > 0 || loaded || needs_file(l, item, item->path);
}

bool needs_all(struct needs *l, const struct record *record, const char *target)
{
    struct library_item item;
    size_t at = 0;

    if (!library_record_next(record, &at, &item) || !needs_add(l, target)) {
        return false;
    }
    while (library_record_next(record, &at, &item)) {
        if (!needs_item(l, &item)) {
            return false;
        }
    }
    return true;
}
