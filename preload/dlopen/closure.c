/* SPDX-License-Identifier: BSD-3-Clause */
/* closure.c - see closure.h */
#include "dlopen/closure.h"

#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/library_record.h"
#include "cache/unserved.h"
#include "dlopen/cached_source.h"
#include "ldso/closure_dso.h"

static struct {
    const char *ld_library_path;
    struct linkmap_list start; /* what was loaded before the program ran; is never unloaded */
    const struct closure_dso *closure_dso;
    /* what will be loaded by the time the plan's next library is opened; used by planned look-ups
     * only, by one thread at a time */
    struct fi_elf_loaded *expected;
    size_t n_expected;
    size_t room;
    pthread_mutex_t aliases_lock; /* no other lock is taken under it */
    void *aliases;                /* a tree of struct alias, see tsearch(3) */
} library = {.aliases_lock = PTHREAD_MUTEX_INITIALIZER};

bool closure_prepare(struct fill *fill, const struct policy *policy)
{
    const char *path = getenv("LD_LIBRARY_PATH");

    cached_source_init(fill, policy);
    library.ld_library_path = path == NULL ? NULL : strdup(path);
    library.closure_dso = linkmap_all(&library.start) ? closure_dso_open() : NULL;
    lookup_set_library(closure_lookup);
    return library.closure_dso != NULL;
}

/* --- names by which earlier closures asked for a library --- */

/* ld.so remembers these names and does not tell them. The strings are never freed. */
struct alias {
    char *path;
    const char *const *names; /* NULL-terminated */
};

static int compare_aliases(const void *a, const void *b)
{
    return strcmp(((const struct alias *)a)->path, ((const struct alias *)b)->path);
}

static const char *const *aliases_of(const char *path)
{
    struct alias wanted = {(char *)path, NULL};
    void *node;

    pthread_mutex_lock(&library.aliases_lock);
    node = tfind(&wanted, &library.aliases, compare_aliases);
    pthread_mutex_unlock(&library.aliases_lock);
    return node == NULL ? NULL : (*(struct alias **)node)->names;
}

/* Is the library known by a name that is neither its path nor its SONAME? */
static bool has_aliases(const struct fi_closure_lib *l)
{
    for (size_t i = 0; l->names[i] != NULL; i++) {
        if (strcmp(l->names[i], l->path) != 0 &&
            (l->soname == NULL || strcmp(l->names[i], l->soname) != 0)) {
            return true;
        }
    }
    return false;
}

static const char *const *copy_names(const char *const *names)
{
    size_t n = 0;
    const char **copy;

    while (names[n] != NULL) {
        n++;
    }
    copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < n; i++) {
        copy[i] = strdup(names[i]);
    }
    return copy;
}

static void remember_aliases(const struct fi_closure *closure)
{
    for (size_t i = 0; i < closure->n_libs; i++) {
        const struct fi_closure_lib *l = &closure->libs[i];
        struct alias *a =
            has_aliases(l) && aliases_of(l->path) == NULL ? calloc(1, sizeof *a) : NULL;

        if (a == NULL) {
            continue;
        }
        *a = (struct alias){strdup(l->path), copy_names(l->names)};
        pthread_mutex_lock(&library.aliases_lock);
        if (a->path != NULL && a->names != NULL) {
            tsearch(a, &library.aliases, compare_aliases); /* which never forgets it */
        }
        pthread_mutex_unlock(&library.aliases_lock);
    }
} // NOLINT(clang-analyzer-unix.Malloc): the tree has it

/* --- the request and the record --- */

struct context {
    struct linkmap_list map;
    struct fi_elf_loaded *loaded;
    size_t n_loaded;
    struct fi_elf_loader loaders[2]; /* the caller, then the executable */
    size_t n_loaders;
    char program[FI_PATH_MAX];
    char key[FI_PATH_MAX]; /* copy of the key, cut into the caller's strings */
    const char *name;      /* the name to search for */
};

/* Fills in the link map as it is now, or with from_start as it was before the program ran. With
 * `planned` it is as it will be: the libraries that the plan opens earlier come behind it. */
static bool closure_describe_process(struct context *c, bool from_start, bool planned)
{
    size_t more = planned && !from_start ? library.n_expected : 0;
    const struct linkmap_list *map = from_start ? &library.start : &c->map;

    sys_program(c->program, sizeof c->program);
    if (!from_start && !linkmap_all(&c->map)) {
        return false;
    }
    c->loaded = closure_dso_loaded(map, c->program, more);
    if (c->loaded == NULL || map->n == 0) {
        return false;
    }
    for (size_t i = 0; i < map->n; i++) {
        c->loaded[i].aliases = aliases_of(c->loaded[i].path);
    }
    memcpy(c->loaded + map->n, library.expected, more * sizeof *c->loaded);
    c->n_loaded = map->n + more;
    c->loaders[c->n_loaders++] = closure_dso_loader(&map->objects[0], c->program);
    return true;
}

/* Parses a key of library_record_key(). Returns false if it is malformed. */
static bool parse_key(struct context *c, const struct fi_query *q)
{
    char *name =
        q->length < sizeof c->key ? strstr(memcpy(c->key, q->path, q->length + 1), "//") : NULL;
    char *search = name == NULL ? NULL : strchr(name, '\n');
    struct fi_elf_loader *caller = &c->loaders[0];

    if (search == NULL || search[1] == '\0' || search[2] == '\0') {
        return false;
    }
    *name = *search = '\0';
    c->name = name + 2;
    if (c->key[0] == '\0') {
        return true; /* the executable is the caller */
    }
    caller->path = c->key;
    caller->nodeflib = search[1] == 'n';
    caller->rpath = search[2] == 'R' ? search + 3 : NULL;
    caller->runpath = search[2] == 'U' ? search + 3 : NULL;
    c->n_loaders = 1;
    return true;
}

/* Remembers that the plan's next library will find these libraries loaded. The strings are never
 * freed. */
static void closure_expect(const struct fi_closure *closure)
{
    for (size_t i = 0; i < closure->n_libs; i++) {
        const struct fi_closure_lib *l = &closure->libs[i];
        const char *path = l->already_loaded ? NULL : strdup(l->path);

        if (library.n_expected == library.room) {
            size_t room = library.room == 0 ? 256 : library.room * 2;
            struct fi_elf_loaded *more = realloc(library.expected, room * sizeof *more);

            if (more == NULL) {
                free((void *)path);
                return;
            }
            library.expected = more;
            library.room = room;
        }
        if (path != NULL) {
            library.expected[library.n_expected++] =
                (struct fi_elf_loaded){.name = path,
                                       .path = path,
                                       .soname = l->soname == NULL ? NULL : strdup(l->soname),
                                       .aliases = aliases_of(path)};
        }
    }
}

static size_t put_text(char *out, size_t at, const char *text)
{
    size_t n = strlen(text) + 1;

    if (out != NULL) {
        memcpy(out + at, text, n);
    }
    return at + n;
}

static size_t put_item(char *out, size_t at, const struct fi_closure_lib *l)
{
    char letter[2] = {'@', '\0'};
    struct fi_path name;

    letter[0] =
        (char)('@' + (l->already_loaded ? LIBRARY_LOADED : 0) + (l->by_path ? LIBRARY_BY_PATH : 0) +
               (cached_source_name(l->path, &name) ? LIBRARY_OURS : 0));
    at = put_text(out, at, letter) - 1;
    at = put_text(out, at, l->path);
    at = put_text(out, at, l->soname == NULL ? "" : l->soname);
    for (size_t k = 0; l->names[k] != NULL; k++) {
        at = put_text(out, at, l->names[k]);
    }
    return put_text(out, at, "");
}

/* Writes the payload, or only measures it if out is NULL. `order`: libs[] in ld.so's mapping
 * order. */
static size_t closure_encode(const struct fi_closure *closure,
                             const struct fi_closure_lib *const *order, char *out)
{
    size_t at = 0;

    for (size_t i = 0; i < closure->n_libs; i++) {
        at = put_item(out, at, order[i]);
    }
    return at;
}

static const struct fi_closure_lib **order_of_mapping(const struct fi_closure *closure)
{
    const struct fi_closure_lib **order = calloc(closure->n_libs, sizeof *order);

    for (size_t i = 0; order != NULL && i < closure->n_libs; i++) {
        order[closure->libs[i].mapped] = &closure->libs[i];
    }
    return order;
}

static const struct record *closure_publish(struct node_cache *node, const struct fi_query *q,
                                            uint8_t flags, const struct fi_closure *closure)
{
    const struct fi_closure_lib **order = closure == NULL ? NULL : order_of_mapping(closure);
    size_t size = order == NULL ? 0 : closure_encode(closure, order, NULL);
    struct record *r = segment_allocate(&node->index, q->length, size);

    if (r != NULL) {
        r->kind = RECORD_LIBRARY;
        r->argument = q->argument;
        r->flags = flags | (order == NULL ? RECORD_UNAVAILABLE : 0);
        memcpy(r->path, q->path, q->length);
        if (order != NULL) {
            closure_encode(closure, order, (char *)record_payload(r));
        }
        record_seal(r);
        segment_publish(&node->index, r);
    }
    free(order);
    return r;
}

/* Records for the report why a library that the program asks for is left to ld.so. One that does
 * not exist is not recorded: ld.so will report it. */
static void closure_note_unserved(struct node_cache *node, const char *name,
                                  enum fi_closure_status status, const struct fi_closure *closure)
{
    const char *culprit = closure->culprit == NULL ? "" : closure->culprit;
    char why[FI_PATH_MAX + 64];

    if (status == FI_CLOSURE_NOT_FOUND && strcmp(culprit, name) != 0) {
        snprintf(why, sizeof why, "needs %s, which was not found", culprit);
    } else if (status == FI_CLOSURE_NOT_ELF) {
        snprintf(why, sizeof why, "%s is not a valid library for this machine", culprit);
    } else if (status == FI_CLOSURE_OK && closure->root_is_needed) {
        snprintf(why, sizeof why, "is needed by a library that it needs");
    } else {
        return;
    }
    unserved_note(&node->index, name, why);
}

/* A closure borrows from the context in which it was computed. */
struct computed {
    struct context *context;
    struct fi_closure closure;
    enum fi_closure_status status;
};

static void closure_compute(struct node_cache *node, const struct fi_query *q, bool planned,
                            struct computed *out)
{
    struct context *c = calloc(1, sizeof *c);
    bool by_name = (q->argument & LIBRARY_BY_NAME) != 0;

    *out = (struct computed){.context = c, .status = FI_CLOSURE_NO_MEMORY};
    if (c != NULL && (!by_name || parse_key(c, q)) &&
        closure_describe_process(c, (q->argument & LIBRARY_FROM_START) != 0, planned)) {
        struct fi_closure_request request = {
            .path = by_name ? c->name : q->path,
            .loaders = c->loaders,
            .n_loaders = c->n_loaders,
            .loaded = c->loaded,
            .n_loaded = c->n_loaded,
            .ld_library_path = library.ld_library_path,
            .source = &cached_source,
        };

        out->status = library.closure_dso->compute(&request, &out->closure);
        if (!planned) {
            closure_note_unserved(node, request.path, out->status, &out->closure);
        }
    }
}

static void closure_release(struct computed *computed)
{
    struct context *c = computed->context;

    library.closure_dso->release(&computed->closure);
    if (c != NULL) {
        free(c->loaded);
        linkmap_free(&c->map);
        free(c);
    }
}

const struct record *closure_lookup(struct node_cache *node, const struct fi_query *q,
                                    uint8_t flags)
{
    struct computed computed;
    bool planned = (flags & RECORD_PLANNED) != 0;
    const struct record *r = NULL;
    bool sound;

    if (library.closure_dso == NULL || (flags & RECORD_LOCAL) != 0) {
        return closure_publish(node, q, flags, NULL);
    }
    closure_compute(node, q, planned, &computed);
    sound = computed.status == FI_CLOSURE_OK;
    if (sound) {
        remember_aliases(&computed.closure);
    }
    if (sound && planned) {
        closure_expect(&computed.closure);
    }
    /* If a library of the closure needs the requested one, a stub would run its constructor too
     * late: leave the request to ld.so. If the closure of a planned library is incomplete, publish
     * nothing: an earlier import may load what is missing before the program asks for it. */
    if (sound || !planned) {
        r = closure_publish(node, q, flags,
                            sound && !computed.closure.root_is_needed && fs_view_is_certain()
                                ? &computed.closure
                                : NULL);
    }
    closure_release(&computed);
    return r;
}

static void mark_files(const struct segment *segment, const struct record *record)
{
    struct library_item item;
    struct fi_path name;
    size_t at = 0;

    while (library_record_next(record, &at, &item)) {
        struct fi_query q;
        const struct record *r;

        if ((item.bits & LIBRARY_OURS) == 0 || !cached_source_name(item.path, &name)) {
            continue;
        }
        q = query_make(RECORD_CONTENT, RECORD_MAPPED, name.text, name.length);
        r = segment_find_past(segment, &q);
        if (r != NULL) {
            record_mark_used(r);
        }
    }
}

void closure_mark_used_files(const struct segment *segment)
{
    uint64_t position = segment_arena_start(segment);
    const struct record *r;

    while ((r = segment_walk_whole(segment, &position)) != NULL) {
        if (r->kind == RECORD_LIBRARY && r->error == 0 &&
            (record_flags(r) & (RECORD_UNAVAILABLE | RECORD_USED)) == RECORD_USED) {
            mark_files(segment, r);
        }
    }
}
