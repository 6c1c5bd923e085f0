/* SPDX-License-Identifier: BSD-3-Clause */
/* by_name.c - see by_name.h */
#include "dlopen/by_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "cache/library_record.h"
#include "ldso/linkmap.h"

/* The length of "$ORIGIN" or "${ORIGIN}" at the beginning of a directory, else 0. */
static size_t origin_length(const char *directory)
{
    if (strncmp(directory, "$ORIGIN", 7) == 0) {
        return 7;
    }
    return strncmp(directory, "${ORIGIN}", 9) == 0 ? 9 : 0;
}

/* Could this directory of the search list of `owner` be below a root? If other tokens leave it
 * open, the answer is yes. */
static bool directory_touches_root(const char *directory, size_t length,
                                   const struct linkmap_object *owner, const char *name)
{
    size_t origin = origin_length(directory);
    size_t parent = origin > 0 ? path_parent_length(owner->name, strlen(owner->name)) : 0;
    char path[FI_PATH_MAX];

    if (memchr(directory + origin, '$', length - origin) != NULL ||
        (origin > 0 && owner->name[0] == '\0')) {
        return true;
    }
    if (origin > 0 && policy_maybe(resolver.policy, owner->name)) {
        return true;
    }
    return snprintf(path, sizeof path, "%.*s%.*s/%s", (int)parent, owner->name,
                    (int)(length - origin), directory + origin, name) < (int)sizeof path &&
           policy_maybe(resolver.policy, path);
}

static bool list_touches_root(const char *list, const struct linkmap_object *owner,
                              const char *name)
{
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ":;");

        if (n > 0 && directory_touches_root(list, n, owner, name)) {
            return true;
        }
        list += list[n] == '\0' ? n : n + 1;
    }
    return false;
}

static bool search_touches_root(const struct linkmap_list *map, const struct linkmap_object *caller,
                                const char *name)
{
    const struct linkmap_object *program = &map->objects[0];
    const char *own = caller->runpath != NULL ? caller->runpath : caller->rpath;

    return list_touches_root(getenv("LD_LIBRARY_PATH"), program, name) ||
           list_touches_root(own, caller, name) ||
           (caller->runpath == NULL && list_touches_root(program->rpath, program, name));
}

/* Makes the key to ask the root with. Returns 0 if there is nothing to ask. */
static size_t make_key(const char *name, const void *caller, char key[FI_PATH_MAX])
{
    struct linkmap_list map;
    const struct linkmap_object *object;
    size_t n = 0;

    if (!linkmap_all(&map)) {
        return 0;
    }
    object = linkmap_at(&map, caller);
    if (object != NULL && !linkmap_has(&map, name) && search_touches_root(&map, object, name)) {
        struct library_caller by = {object->name, object->rpath, object->runpath, object->nodeflib};

        n = library_record_key(key, FI_PATH_MAX, name, &by);
    }
    linkmap_free(&map);
    return n;
}

/* Has this node changed one of the files? */
static bool is_stale(const struct record *r)
{
    struct library_item item;
    size_t at = 0;

    while (library_record_next(r, &at, &item)) {
        if (resolve_is_stale(item.path, strlen(item.path))) {
            return true;
        }
    }
    return false;
}

static bool by_name_fall_back(enum fallback_reason reason)
{
    resolve_fell_back(reason);
    return false;
}

bool by_name_resolve(const char *name, const void *caller, uint64_t question, struct answer *answer)
{
    char key[FI_PATH_MAX];
    size_t n = make_key(name, caller, key);
    struct fi_query q = query_make(RECORD_LIBRARY, question | LIBRARY_BY_NAME, key, n);
    enum fallback_reason why = FALLBACK_ENDED;
    const struct record *r = n == 0 ? NULL : segment_find(&resolver.node->index, &q);

    if (n == 0) {
        return false;
    }
    count_add(&fi_count->intercepted[CALL_DL], 1);
    if (r == NULL) {
        r = fill_get(resolver.fill, &q, NULL, &why);
    }
    if (r == NULL || (record_flags(r) & RECORD_UNAVAILABLE) != 0) {
        return by_name_fall_back(r == NULL ? why : FALLBACK_UNAVAILABLE);
    }
    if (is_stale(r)) {
        return by_name_fall_back(FALLBACK_STALE);
    }
    record_mark_used(r);
    *answer = (struct answer){r, 0};
    count_add(&fi_count->served[CALL_DL], 1);
    return true;
}

/* --- what the cache does not answer --- */

/* Writes "directory/name", the directory being one of the search list of `owner`. False: there is
 * another token than $ORIGIN in it, or it is too long. */
static bool expand_origin(char path[FI_PATH_MAX], const char *directory, size_t length,
                          const struct linkmap_object *owner, const char *name)
{
    size_t origin = origin_length(directory);
    size_t parent = origin > 0 ? path_parent_length(owner->name, strlen(owner->name)) : 0;

    return memchr(directory + origin, '$', length - origin) == NULL &&
           snprintf(path, FI_PATH_MAX, "%.*s%.*s/%s", (int)parent, owner->name,
                    (int)(length - origin), directory + origin, name) < FI_PATH_MAX;
}

/* Writes the path of the first file of this name in a search list. False: there is none, or only
 * ld.so can tell. */
static bool list_find(const char *list, const struct linkmap_object *owner, const char *name,
                      char path[FI_PATH_MAX])
{
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ":;");

        if (n > 0 && !expand_origin(path, list, n, owner, name)) {
            return false;
        }
        if (n > 0 && sys_access(path, F_OK, false) == 0) {
            return true;
        }
        list += list[n] == '\0' ? n : n + 1;
    }
    return false;
}

/* LD_LIBRARY_PATH comes before a RUNPATH and after an RPATH. */
static bool find_original(const struct linkmap_list *map, const struct linkmap_object *caller,
                          const char *name, char path[FI_PATH_MAX])
{
    const char *own = caller->runpath != NULL ? caller->runpath : caller->rpath;

    return own != NULL && strstr(own, "ORIGIN") != NULL && caller->name[0] == '/' &&
           policy_maybe(resolver.policy, caller->name) && !linkmap_has(map, name) &&
           (caller->runpath == NULL ||
            !list_find(getenv("LD_LIBRARY_PATH"), &map->objects[0], name, path)) &&
           list_find(own, caller, name, path);
}

void *by_name_open_original(const char *name, int flags, const void *caller,
                            const struct library_calls *calls)
{
    char path[FI_PATH_MAX];
    struct linkmap_list map;
    const struct linkmap_object *object;
    bool found;

    if (!linkmap_all(&map)) {
        return NULL;
    }
    object = linkmap_at(&map, caller);
    found = object != NULL && find_original(&map, object, name, path);
    linkmap_free(&map);
    return found ? calls->dlopen(path, flags) : NULL;
}
