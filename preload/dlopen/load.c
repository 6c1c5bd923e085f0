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
#include "dlopen/needs.h"
#include "ldso/linkmap.h"
#include "ldso/stub.h"
#include "ldso/stub_refs.h"

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

/* --- between ld.so's mapping and the first constructor --- */

static __thread struct originals *unplaced; /* of the dlopen that this thread is in */

static void place_originals(void)
{
    if (unplaced != NULL) {
        originals_place(unplaced);
    }
}

static void call_as_constructor(void)
{
    place_originals();
    dl_iterate_phdr(load_restore_name, (void *)named_by);
    after_mapping();
}

typedef void constructor(void);

/* ld.so calls this when it relocates the helper library, before all others; the result is the
 * helper's constructor. */
static constructor *resolve_constructor(void)
{
    place_originals();
    return call_as_constructor;
}

__attribute__((visibility("default"), ifunc("resolve_constructor"))) void
fastimport_libraries_mapped(void);

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
static void load_set_error(struct needs *l, const char *error)
{
    char *at = l->why;

    snprintf(l->why, sizeof l->why, "%s", error == NULL ? "" : error);
    while ((at = strstr(at, l->node->directory)) != NULL) {
        mirror_path_to_original(l->node, at);
        at++;
    }
}

static void *load_open(struct needs *l, const char *file, int flags,
                       const struct library_calls *calls)
{
    void *handle = calls->dlopen(file, flags);

    if (handle == NULL) {
        load_set_error(l, dlerror());
    }
    return handle;
}

/* ld.so recognises objects by name and inode, so each stub and each helper has a new file. */
static void *load_open_stub(struct needs *l, int flags, const struct library_calls *calls)
{
    static _Atomic unsigned serial;
    char stub_name[NODE_PATH_MAX];
    char helper_name[NODE_PATH_MAX];
    unsigned number = serial++;
    struct stub helper = {.constructor = "fastimport_libraries_mapped"};
    struct stub stub = {.rpath = l->rpath};
    struct originals *outer = unplaced;
    void *handle = NULL;

    snprintf(stub_name, sizeof stub_name, "%s/tmp/%d.%u.so", l->node->directory, (int)sys_getpid(),
             number);
    snprintf(helper_name, sizeof helper_name, "%s/tmp/%d.%u.names.so", l->node->directory,
             (int)sys_getpid(), number);
    if (!stub_can_call && l->originals.n > 0) {
        snprintf(l->why, sizeof l->why, "part of it is in the original, which cannot be mapped");
        return NULL;
    }
    if (stub_can_call && (!needs_add(l, helper_name) || !load_write_file(helper_name, &helper))) {
        snprintf(l->why, sizeof l->why, "the stub could not be written to the node cache");
        return NULL;
    }
    stub.needed = (const char *const *)l->needed;
    stub.n_needed = l->n;
    named_by = l->node;
    after_mapping = calls->mapped;
    unplaced = &l->originals;
    if (load_write_file(stub_name, &stub)) {
        handle = load_open(l, stub_name, flags, calls);
        sys_unlink(stub_name);
    } else {
        snprintf(l->why, sizeof l->why, "the stub could not be written to the node cache");
    }
    unplaced = outer;
    if (stub_can_call) {
        sys_unlink(helper_name);
    }
    return handle;
}

/* Opens the library that the stub has mapped. Then closes the stub, or keeps it open for symbols
 * that are still to be bound. */
static void *load_open_behind_stub(struct needs *l, void *stub, const char *target, int flags,
                                   const struct library_calls *calls)
{
    void *library = load_open(l, target, flags, calls);

    if (library == NULL || !stub_refs_opened(library, (flags & RTLD_NOW) != 0 ? NULL : stub)) {
        calls->dlclose(stub);
    }
    return library;
}

static void *load_through_stub(struct needs *l, const struct record *record, const char *target,
                               int flags, const struct library_calls *calls)
{
    void *stub = NULL;
    void *handle = NULL;

    if (needs_all(l, record, target)) {
        stub = load_open_stub(l, flags & ~RTLD_NODELETE, calls);
    }
    if (stub != NULL) {
        if (!stub_can_call) {
            call_as_constructor();
        }
        handle = load_open_behind_stub(l, stub, target, flags, calls);
    }
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
 * under the name of the record. Returns the name, or NULL if it is too long. */
static const char *choose_target(const struct needs *l, const struct library_item *item,
                                 const char *given, char out[MIRROR_PATH_MAX])
{
    bool ours = (item->bits & LIBRARY_OURS) != 0;

    if (ours && given != NULL && given[0] == '/' && needs_source(l, ours, given, out) &&
        sys_access(out, 0, false) == 0) {
        return given;
    }
    return needs_source(l, ours, item->path, out) ? item->path : NULL;
}

/* Can the name in the link map be replaced in place by the given one? */
static bool has_room_for_name(const char *target)
{
    return naming.given == NULL || strlen(naming.given) <= strlen(target);
}

static void *load_item(struct needs *l, const struct record *record,
                       const struct library_item *item, const char *absolute, int flags,
                       const struct library_calls *calls)
{
    bool ours = (item->bits & LIBRARY_OURS) != 0;
    char target[MIRROR_PATH_MAX];
    const char *path;
    void *handle = NULL;

    if (linkmap_has_path(l->map, item->path) || loaded_as_original(l->node, item->path)) {
        handle = load_open(l, item->path, flags, calls);
    } else if ((path = choose_target(l, item, absolute, target)) == NULL) {
        snprintf(l->why, sizeof l->why, "its name is too long");
        return NULL;
    } else if ((flags & RTLD_NOLOAD) == 0 && has_room_for_name(target)) {
        naming.mapped = target;
        return needs_prepare(l, ours, path, target)
                   ? load_through_stub(l, record, target, flags, calls)
                   : NULL;
    } else {
        snprintf(l->why, sizeof l->why,
                 "the name by which it is opened is longer than that of its copy");
        if (ours) { /* if it is loaded already, no name is to be set */
            handle = calls->dlopen(target, flags | RTLD_NOLOAD);
        }
    }
    stub_refs_opened(handle, NULL);
    return handle;
}

static void load_find_missing(struct needs *l, const struct record *record)
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
    struct needs l = {.node = node, .map = &map};
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
    needs_free(&l);
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
        fits = (item.bits & LIBRARY_LOADED) == 0 || needs_is_loaded(&map, &item);
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
