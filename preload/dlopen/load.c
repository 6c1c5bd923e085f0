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

enum { NAME_MAX_LENGTH = FI_PATH_MAX + 512, WHY_MAX = 256 };

/* --- original names --- */

static const struct node_cache *named_by; /* whose mirror the names are in: the process has one */
static void (*after_mapping)(void);

/* In place: the original is the tail of the mirror's name. */
void load_original_name(const struct node_cache *node, char *name)
{
    size_t n = node->directory_length;

    if (strncmp(name, node->directory, n) == 0 && strncmp(name + n, "/files/", 7) == 0) {
        n += strlen("/files");
        memmove(name, name + n, strlen(name + n) + 1);
    }
}

/* A plain dlopen keeps the name that it was given: relative, or with parts that the mirror's name
 * has folded. Of the dlopen that this thread is in. */
static __thread struct naming {
    const char *mapped; /* the file that stands for it */
    const char *given;  /* or NULL: the original name is right */
} naming;

/* dlpi_name is the link map's own l_name, which ld.so will free; its lock is held here. */
static int restore_name(struct dl_phdr_info *info, size_t size, void *node_)
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
        load_original_name(node, name);
    }
    return 0;
}

__attribute__((visibility("default"))) void fastimport_libraries_mapped(void)
{
    dl_iterate_phdr(restore_name, (void *)named_by);
    after_mapping();
}

/* --- what the stub names --- */

struct load {
    struct node_cache *node;
    const struct linkmap_list *map;
    char **needed; /* owned */
    size_t n, room;
    char *rpath;       /* owned; where bare names are found, in order; NULL: there are none */
    char why[WHY_MAX]; /* it cannot be */
};

static void load_forget(struct load *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->needed[i]);
    }
    free(l->needed);
    free(l->rpath);
}

static bool need(struct load *l, const char *name)
{
    char *copy = strchr(name, '$') == NULL ? strdup(name) : NULL; /* ld.so would replace it */

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

/* The file to map for a path of the record. */
static bool load_source_of(const struct load *l, bool ours, const char *path,
                           char out[NAME_MAX_LENGTH])
{
    if (ours) {
        return mirror_path(l->node, path, out, NAME_MAX_LENGTH);
    }
    return snprintf(out, NAME_MAX_LENGTH, "%s", path) < NAME_MAX_LENGTH;
}

static bool is_there(const char *directory, size_t length, const char *name)
{
    char path[NAME_MAX_LENGTH];

    return snprintf(path, sizeof path, "%.*s/%s", (int)length, directory, name) <
               (int)sizeof path &&
           sys_access(path, 0, false) == 0;
}

/* Puts a directory behind those in which bare names are found already. False if one of them has
 * this name, too. */
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

/* A name that is not the SONAME must be known to ld.so, or it would search for it: the stub asks by
 * this name. */
static bool need_by_name(struct load *l, const struct library_item *item, const char *name)
{
    char file[NAME_MAX_LENGTH];

    return load_source_of(l, (item->bits & LIBRARY_OURS) != 0, item->path, file) &&
           search_in(l, file, path_parent_length(file, strlen(file)), name) && need(l, name);
}

/* One name by which it is asked for; false: it cannot be made known. */
static bool need_odd_name(struct load *l, const struct library_item *item, const char *name)
{
    bool ours = (item->bits & LIBRARY_OURS) != 0;
    char file[NAME_MAX_LENGTH];

    if (strchr(name, '/') == NULL) {
        return need_by_name(l, item, name);
    }
    return load_source_of(l, ours, name, file) && need(l, file);
}

/* Names that ld.so will ask for and cannot know; says how many. False: one cannot be arranged: a
 * path of ours as it stands in the file would be opened. */
static bool need_odd_names(struct load *l, const struct library_item *item, bool loaded, size_t *n)
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
            if (!need_odd_name(l, item, name)) {
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

static bool need_item(struct load *l, const struct library_item *item)
{
    char file[NAME_MAX_LENGTH];
    bool loaded = is_loaded(l->map, item);
    size_t odd;

    if (loaded && item->soname[0] != '\0') {
        return need(l, item->soname); /* for its place in the scope */
    }
    if (!need_odd_names(l, item, loaded, &odd)) {
        snprintf(l->why, sizeof l->why, "ld.so would search for %s under another name", item->path);
        return false;
    }
    if (odd == 0 && !loaded && strchr(item->path, '$') != NULL) {
        snprintf(l->why, sizeof l->why, "%s has a dollar sign in its name", item->path);
        return false;
    }
    return odd > 0 || loaded ||
           (load_source_of(l, (item->bits & LIBRARY_OURS) != 0, item->path, file) && need(l, file));
}

static bool need_all(struct load *l, const struct record *record, const char *target)
{
    struct library_item item;
    size_t at = 0;

    if (!library_record_next(record, &at, &item) || !need(l, target)) {
        return false;
    }
    while (library_record_next(record, &at, &item)) {
        if (!need_item(l, &item)) {
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
    bool note_change = fd >= 0 && sys_pwrite_all(fd, bytes, size, 0) == 0;

    if (fd >= 0) {
        sys_close(fd);
    }
    free(bytes);
    return note_change;
}

/* What ld.so says names files in the mirror: the tails of these names are the originals'. */
static void load_tell(struct load *l, const char *error)
{
    char *at = l->why;

    snprintf(l->why, sizeof l->why, "%s", error == NULL ? "" : error);
    while ((at = strstr(at, l->node->directory)) != NULL) {
        load_original_name(l->node, at);
        at++;
    }
}

static void *open_or_tell(struct load *l, const char *file, int flags,
                          const struct library_calls *calls)
{
    void *handle = calls->dlopen(file, flags);

    if (handle == NULL) {
        load_tell(l, dlerror());
    }
    return handle;
}

/* ld.so compares names and inodes: every stub, and every helper, has its own. */
static void *load_open_stub(struct load *l, int flags, const struct library_calls *calls)
{
    static _Atomic unsigned serial;
    char stub_name[512];
    char helper_name[512];
    unsigned number = serial++;
    struct stub helper = {.constructor = "fastimport_libraries_mapped"};
    struct stub stub = {.rpath = l->rpath};
    void *handle = NULL;

    snprintf(stub_name, sizeof stub_name, "%s/tmp/%d.%u.so", l->node->directory, (int)sys_getpid(),
             number);
    snprintf(helper_name, sizeof helper_name, "%s/tmp/%d.%u.names.so", l->node->directory,
             (int)sys_getpid(), number);
    if (stub_can_call && (!need(l, helper_name) || !load_write_file(helper_name, &helper))) {
        snprintf(l->why, sizeof l->why, "the node cache takes no stub");
        return NULL;
    }
    stub.needed = (const char *const *)l->needed;
    stub.n_needed = l->n;
    named_by = l->node;
    after_mapping = calls->mapped;
    if (load_write_file(stub_name, &stub)) {
        handle = open_or_tell(l, stub_name, flags, calls);
        sys_unlink(stub_name);
    } else {
        snprintf(l->why, sizeof l->why, "the node cache takes no stub");
    }
    if (stub_can_call) {
        sys_unlink(helper_name);
    }
    return handle;
}

/* Opens what the stub has mapped; closes the stub, or keeps it for the symbols that are still to be
 * bound. */
static void *open_behind(struct load *l, void *stub, const char *target, int flags,
                         const struct library_calls *calls)
{
    void *library = open_or_tell(l, target, flags, calls);

    if (library == NULL || !stub_refs_opened(library, (flags & RTLD_NOW) != 0 ? NULL : stub)) {
        calls->dlclose(stub);
    }
    return library;
}

static void *dlopen_load(struct load *l, const struct record *record, const char *target, int flags,
                         const struct library_calls *calls)
{
    void *stub = NULL;
    void *handle = NULL;

    if (need_all(l, record, target)) {
        stub = load_open_stub(l, flags & ~RTLD_NODELETE, calls);
    }
    if (stub != NULL) {
        if (!stub_can_call) {
            fastimport_libraries_mapped();
        }
        handle = open_behind(l, stub, target, flags, calls);
    }
    load_forget(l);
    return handle;
}

/* How a plain dlopen would name it; "" if that does not fit. */
static void make_absolute(const char *given, char out[FI_PATH_MAX])
{
    char cwd[FI_PATH_MAX];

    if (given[0] == '/') {
        snprintf(out, FI_PATH_MAX, "%s", given);
    } else if (sys_getcwd(cwd, sizeof cwd) <= 0 || !path_join(out, FI_PATH_MAX, cwd, given)) {
        out[0] = '\0';
    }
}

/* The file to map: under the given name if the mirror has that, so that ld.so keeps it; else under
 * the record's. */
static bool choose_target(const struct load *l, const struct library_item *item, const char *given,
                          char out[NAME_MAX_LENGTH])
{
    bool ours = (item->bits & LIBRARY_OURS) != 0;

    if (ours && given != NULL && given[0] == '/' && load_source_of(l, ours, given, out) &&
        sys_access(out, 0, false) == 0) {
        return true;
    }
    return load_source_of(l, ours, item->path, out);
}

/* Can the name in the link map become the given one? */
static bool has_room_for_name(const char *target)
{
    return naming.given == NULL || strlen(naming.given) <= strlen(target);
}

static void *answer_item(struct load *l, const struct record *record,
                         const struct library_item *item, const char *absolute, int flags,
                         const struct library_calls *calls)
{
    char target[NAME_MAX_LENGTH];
    void *handle = NULL;

    if (linkmap_has_path(l->map, item->path) || loaded_as_original(l->node, item->path)) {
        handle = open_or_tell(l, item->path, flags, calls);
    } else if (!choose_target(l, item, absolute, target)) {
        snprintf(l->why, sizeof l->why, "its name is too long");
        return NULL;
    } else if ((flags & RTLD_NOLOAD) == 0 && has_room_for_name(target)) {
        naming.mapped = target;
        return dlopen_load(l, record, target, flags, calls);
    } else {
        snprintf(l->why, sizeof l->why, "the name that it is opened by is too long");
        if ((item->bits & LIBRARY_OURS) != 0) { /* loaded already, it needs no name */
            handle = calls->dlopen(target, flags | RTLD_NOLOAD);
        }
    }
    stub_refs_opened(handle, NULL);
    return handle;
}

static void tell_what_is_missing(struct load *l, const struct record *record)
{
    struct library_item item;
    size_t at = 0;

    for (bool first = true; library_record_next(record, &at, &item); first = false) {
        const char *why = left_reason(&l->node->index, item.path);

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
        unserved_note(&node->index, item.path, "nothing can be mapped from the node cache");
        return NULL;
    }
    make_absolute(given == NULL ? item.path : given, absolute);
    naming = (struct naming){NULL, given};
    handle = answer_item(&l, record, &item, absolute, flags, calls);
    naming = outer;
    if (handle != NULL) {
        loaded_from_mirror();
    }
    if (handle != NULL && given != NULL) {
        loaded_note(given, absolute);
    }
    if (handle == NULL) {
        (void)dlerror(); /* ours; the real call will say what is wrong */
    }
    if (handle == NULL && (flags & RTLD_NOLOAD) == 0) {
        tell_what_is_missing(&l, record);
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
