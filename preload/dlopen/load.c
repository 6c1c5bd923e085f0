/* SPDX-License-Identifier: BSD-3-Clause */
/* load.c - see load.h */
#include "dlopen/load.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/library_record.h"
#include "cache/mirror.h"
#include "cache/unserved.h"
#include "dlopen/loaded.h"
#include "ldso/linkmap.h"
#include "ldso/stub.h"
#include "ldso/stub_refs.h"

enum { WHY_MAX = 256 };

/* --- original names --- */

/* the node cache whose mirror the names are in; a process has one */
static const struct node_cache *named_by;
static void (*after_mapping)(void);

/* The names for the dlopen that this thread is in. A plain dlopen keeps the name that it was given,
 * which may be relative or have parts that the mirror's name does not have. */
static __thread struct naming {
    const char *mapped; /* the mirror file that is loaded */
    const char *given;  /* the name to set; NULL: the original name */
} naming;

/* dlpi_name is the l_name of the link map. ld.so frees it, so it is changed in place; ld.so's lock
 * is held here. */
static int load_restore_name(struct dl_phdr_info *info, size_t size, void *node_)
{
    const struct node_cache *node = node_;
    char *name = (char *)info->dlpi_name;

    (void)size;
    if (name == NULL || strncmp(name, node->directory, node->directory_length) != 0) {
        return 0;
    }
    if (naming.mapped != NULL && naming.given != NULL && strcmp(name, naming.mapped) == 0) {
        memcpy(name, naming.given, strlen(naming.given) + 1);
    } else {
        mirror_path_to_original(node, name);
    }
    return 0;
}

__attribute__((visibility("default"))) void fastimport_libraries_mapped(void)
{
    dl_iterate_phdr(load_restore_name, (void *)named_by);
    after_mapping();
}

/* --- what the stub names --- */

struct load {
    struct node_cache *node;
    const struct linkmap_list *map;
    char **needed; /* owned */
    size_t n, room;
    /* owned; directories in which the odd names are found, in order; NULL: none */
    char *rpath;
    char why[WHY_MAX]; /* why the library is left to ld.so */
};

static void load_free(struct load *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->needed[i]);
    }
    free(l->needed);
    free(l->rpath);
}

static bool load_need(struct load *l, const char *name)
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

/* The file to map for a path of the record: a mirror file, or the path itself. */
static bool load_source_of(const struct load *l, bool ours, const char *path,
                           char out[MIRROR_PATH_MAX])
{
    if (ours) {
        return mirror_path(l->node, path, out, MIRROR_PATH_MAX);
    }
    return snprintf(out, MIRROR_PATH_MAX, "%s", path) < MIRROR_PATH_MAX;
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
static bool search_in(struct load *l, const char *directory, size_t length, const char *name)
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
static bool load_need_by_name(struct load *l, const struct library_item *item, const char *name)
{
    char file[MIRROR_PATH_MAX];

    return load_source_of(l, (item->bits & LIBRARY_OURS) != 0, item->path, file) &&
           search_in(l, file, path_parent_length(file, strlen(file)), name) && load_need(l, name);
}

/* Makes one name known by which the library will be asked for. Returns false if that is not
 * possible. */
static bool load_need_odd_name(struct load *l, const struct library_item *item, const char *name)
{
    bool ours = (item->bits & LIBRARY_OURS) != 0;
    char file[MIRROR_PATH_MAX];

    if (strchr(name, '/') == NULL) {
        return load_need_by_name(l, item, name);
    }
    return load_source_of(l, ours, name, file) && load_need(l, file);
}

/* Makes all names known by which ld.so will ask and which it cannot know by itself; *n is their
 * number. Returns false if one is not possible: for example a path below the roots, written into a
 * library, which ld.so would open. */
static bool load_need_odd_names(struct load *l, const struct library_item *item, bool loaded,
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
            if (!load_need_odd_name(l, item, name)) {
                return false;
            }
            ++*n;
        }
    }
    return true;
}

static bool is_loaded(const struct linkmap_list *map, const struct library_item *item)
{
    return linkmap_has(map, item->path) ||
           (item->soname[0] != '\0' && linkmap_has(map, item->soname));
}

static bool load_need_item(struct load *l, const struct library_item *item)
{
    char file[MIRROR_PATH_MAX];
    bool loaded = is_loaded(l->map, item);
    size_t odd;

    if (loaded && item->soname[0] != '\0') {
        return load_need(l, item->soname); /* it takes its place in the scope */
    }
    if (!load_need_odd_names(l, item, loaded, &odd)) {
        snprintf(l->why, sizeof l->why, "ld.so would search for %s under another name", item->path);
        return false;
    }
    if (odd == 0 && !loaded && strchr(item->path, '$') != NULL) {
        snprintf(l->why, sizeof l->why, "%s has a dollar sign in its name", item->path);
        return false;
    }
    return odd > 0 || loaded ||
           (load_source_of(l, (item->bits & LIBRARY_OURS) != 0, item->path, file) &&
            load_need(l, file));
}

static bool load_need_all(struct load *l, const struct record *record, const char *target)
{
    struct library_item item;
    size_t at = 0;

    if (!library_record_next(record, &at, &item) || !load_need(l, target)) {
        return false;
    }
    while (library_record_next(record, &at, &item)) {
        if (!load_need_item(l, &item)) {
            return false;
        }
    }
    return true;
}

/* --- loading --- */

static bool load_write_file(const char *name, const struct stub *stub)
{
    size_t size;
    void *bytes = stub_make(stub, &size);
    int fd = bytes == NULL ? -1 : sys_open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    bool written = fd >= 0 && sys_pwrite_all(fd, bytes, size, 0) == 0;

    if (fd >= 0) {
        sys_close(fd);
    }
    free(bytes);
    return written;
}

/* Takes ld.so's message as the reason. It names files in the mirror, so the names of the originals
 * replace them. */
static void load_set_error(struct load *l, const char *error)
{
    char *at = l->why;

    snprintf(l->why, sizeof l->why, "%s", error == NULL ? "" : error);
    while ((at = strstr(at, l->node->directory)) != NULL) {
        mirror_path_to_original(l->node, at);
        at++;
    }
}

static void *load_open(struct load *l, const char *file, int flags,
                       const struct library_calls *calls)
{
    void *handle = calls->dlopen(file, flags);

    if (handle == NULL) {
        load_set_error(l, dlerror());
    }
    return handle;
}

/* ld.so recognises objects by name and inode, so each stub and each helper has a new file. */
static void *load_open_stub(struct load *l, int flags, const struct library_calls *calls)
{
    static _Atomic unsigned serial;
    char stub_name[NODE_PATH_MAX];
    char helper_name[NODE_PATH_MAX];
    unsigned number = serial++;
    struct stub helper = {.constructor = "fastimport_libraries_mapped"};
    struct stub stub = {.rpath = l->rpath};
    void *handle = NULL;

    snprintf(stub_name, sizeof stub_name, "%s/tmp/%d.%u.so", l->node->directory, (int)sys_getpid(),
             number);
    snprintf(helper_name, sizeof helper_name, "%s/tmp/%d.%u.names.so", l->node->directory,
             (int)sys_getpid(), number);
    if (stub_can_call && (!load_need(l, helper_name) || !load_write_file(helper_name, &helper))) {
        snprintf(l->why, sizeof l->why, "the stub could not be written to the node cache");
        return NULL;
    }
    stub.needed = (const char *const *)l->needed;
    stub.n_needed = l->n;
    named_by = l->node;
    after_mapping = calls->mapped;
    if (load_write_file(stub_name, &stub)) {
        handle = load_open(l, stub_name, flags, calls);
        sys_unlink(stub_name);
    } else {
        snprintf(l->why, sizeof l->why, "the stub could not be written to the node cache");
    }
    if (stub_can_call) {
        sys_unlink(helper_name);
    }
    return handle;
}

/* Opens the library that the stub has mapped. Then closes the stub, or keeps it open for symbols
 * that are still to be bound. */
static void *load_open_behind_stub(struct load *l, void *stub, const char *target, int flags,
                                   const struct library_calls *calls)
{
    void *library = load_open(l, target, flags, calls);

    if (library == NULL || !stub_refs_opened(library, (flags & RTLD_NOW) != 0 ? NULL : stub)) {
        calls->dlclose(stub);
    }
    return library;
}

static void *load_through_stub(struct load *l, const struct record *record, const char *target,
                               int flags, const struct library_calls *calls)
{
    void *stub = NULL;
    void *handle = NULL;

    if (load_need_all(l, record, target)) {
        stub = load_open_stub(l, flags & ~RTLD_NODELETE, calls);
    }
    if (stub != NULL) {
        if (!stub_can_call) {
            fastimport_libraries_mapped();
        }
        handle = load_open_behind_stub(l, stub, target, flags, calls);
    }
    load_free(l);
    return handle;
}

/* The name that a plain dlopen would store; "" if it does not fit. */
static void make_absolute(const char *given, char out[FI_PATH_MAX])
{
    char cwd[FI_PATH_MAX];

    if (given[0] == '/') {
        snprintf(out, FI_PATH_MAX, "%s", given);
    } else if (sys_getcwd(cwd, sizeof cwd) <= 0 || !path_join(out, FI_PATH_MAX, cwd, given)) {
        out[0] = '\0';
    }
}

/* The file to map: under the given name if the mirror has that, so that ld.so stores it; otherwise
 * under the name of the record. */
static bool choose_target(const struct load *l, const struct library_item *item, const char *given,
                          char out[MIRROR_PATH_MAX])
{
    bool ours = (item->bits & LIBRARY_OURS) != 0;

    if (ours && given != NULL && given[0] == '/' && load_source_of(l, ours, given, out) &&
        sys_access(out, 0, false) == 0) {
        return true;
    }
    return load_source_of(l, ours, item->path, out);
}

/* Can the name in the link map be replaced in place by the given one? */
static bool has_room_for_name(const char *target)
{
    return naming.given == NULL || strlen(naming.given) <= strlen(target);
}

static void *load_item(struct load *l, const struct record *record, const struct library_item *item,
                       const char *absolute, int flags, const struct library_calls *calls)
{
    char target[MIRROR_PATH_MAX];
    void *handle = NULL;

    if (linkmap_has_path(l->map, item->path) || loaded_as_original(l->node, item->path)) {
        handle = load_open(l, item->path, flags, calls);
    } else if (!choose_target(l, item, absolute, target)) {
        snprintf(l->why, sizeof l->why, "its name is too long");
        return NULL;
    } else if ((flags & RTLD_NOLOAD) == 0 && has_room_for_name(target)) {
        naming.mapped = target;
        return load_through_stub(l, record, target, flags, calls);
    } else {
        snprintf(l->why, sizeof l->why,
                 "the name by which it is opened is longer than that of its copy");
        if ((item->bits & LIBRARY_OURS) != 0) { /* if it is loaded already, no name is to be set */
            handle = calls->dlopen(target, flags | RTLD_NOLOAD);
        }
    }
    stub_refs_opened(handle, NULL);
    return handle;
}

static void load_find_missing(struct load *l, const struct record *record)
{
    struct library_item item;
    size_t at = 0;

    for (bool first = true; library_record_next(record, &at, &item); first = false) {
        const char *why = unserved_reason(&l->node->index, item.path);

        if (why != NULL && !first) {
            snprintf(l->why, sizeof l->why, "needs %.180s, which %s",
                     path_name(item.path, strlen(item.path)), why);
        } else if (why != NULL) {
            snprintf(l->why, sizeof l->why, "%s", why);
        }
    }
}

void *load_library(struct node_cache *node, const struct record *record, const char *given,
                   int flags, const struct library_calls *calls)
{
    struct linkmap_list map;
    struct load l = {.node = node, .map = &map};
    struct library_item item;
    char absolute[FI_PATH_MAX];
    struct naming outer = naming;
    size_t at = 0;
    void *handle;

    if (!library_record_next(record, &at, &item)) {
        return NULL;
    }
    if (!node->may_execute || !linkmap_all(&map)) {
        unserved_note(&node->index, item.path, "no library can be mapped from the node cache");
        return NULL;
    }
    make_absolute(given == NULL ? item.path : given, absolute);
    naming = (struct naming){NULL, given};
    handle = load_item(&l, record, &item, absolute, flags, calls);
    naming = outer;
    if (handle != NULL) {
        loaded_from_mirror();
    }
    if (handle != NULL && given != NULL) {
        loaded_note(given, absolute);
    }
    if (handle == NULL) {
        (void)dlerror(); /* drop our error: the real call will set its own */
    }
    if (handle == NULL && (flags & RTLD_NOLOAD) == 0) {
        load_find_missing(&l, record);
        fi_log(LOG_DEBUG, "%s is left to ld.so: %s", item.path, l.why);
        unserved_note(&node->index, item.path, l.why);
    }
    linkmap_free(&map);
    return handle;
}

bool load_fits(const struct record *record)
{
    struct linkmap_list map;
    struct library_item item;
    size_t at = 0;
    bool fits = true;

    if (!linkmap_all(&map)) {
        return false;
    }
    while (fits && library_record_next(record, &at, &item)) {
        fits = (item.bits & LIBRARY_LOADED) == 0 || is_loaded(&map, &item);
    }
    linkmap_free(&map);
    return fits;
}

int load_close(void *handle, const struct library_calls *calls)
{
    int result = calls->dlclose(handle);
    void *stub = result == 0 ? stub_refs_closed(handle) : NULL;

    if (stub != NULL) {
        calls->dlclose(stub);
    }
    return result;
}
