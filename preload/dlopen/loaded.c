/* SPDX-License-Identifier: BSD-3-Clause */
/* loaded.c - see loaded.h */
#include "dlopen/loaded.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/sys.h"
#include "ldso/stub_refs.h"

/* Libraries that were opened by a relative name, newest first. The link map holds that name, which
 * refers to another file after chdir(2). Entries are never removed. */
struct relative {
    struct relative *next;
    const char *name;
    const char *path;
};

static struct relative *_Atomic relatives;

static const struct relative *loaded_find(const char *name)
{
    const struct relative *r = atomic_load(&relatives);

    while (r != NULL && strcmp(r->name, name) != 0) {
        r = r->next;
    }
    return r;
}

void loaded_note(const char *name, const char *path)
{
    const struct relative *known = name[0] == '/' ? NULL : loaded_find(name);
    struct relative *r;

    if (name[0] == '/' || (known != NULL && strcmp(known->path, path) == 0) ||
        (r = malloc(sizeof *r)) == NULL) {
        return;
    }
    *r = (struct relative){atomic_load(&relatives), strdup(name), strdup(path)};
    if (r->name == NULL || r->path == NULL) {
        free((void *)r->name);
        free((void *)r->path);
        free(r);
        return;
    }
    while (!atomic_compare_exchange_weak(&relatives, &r->next, r)) {
    }
} // NOLINT(clang-analyzer-unix.Malloc): the list has it

/* --- libraries that were loaded from their own place ---
 *
 * Entries are never removed. If such a library is unloaded, the only effect is one dlopen that the
 * mirror does not answer. */
struct original {
    struct original *next;
    struct stat st;
};

static struct original *_Atomic originals;
static _Atomic bool is_mirror_used;

void loaded_from_mirror(void)
{
    atomic_store_explicit(&is_mirror_used, true, memory_order_relaxed);
}

static void note_original(const struct stat *st)
{
    struct original *o = malloc(sizeof *o);

    if (o == NULL) {
        return;
    }
    *o = (struct original){atomic_load(&originals), *st};
    while (!atomic_compare_exchange_weak(&originals, &o->next, o)) {
    }
} // NOLINT(clang-analyzer-unix.Malloc): the list has it

/* --- libraries that were loaded from the mirror --- */

/* The stat of the original at the time when it was read into the mirror; NULL if the mirror does
 * not have this path. (If ".." follows a symlink, the path refers to another file; is_same_file()
 * notices that.) */
static const struct stat *loaded_mirrored(const struct node_cache *node, const char *path)
{
    static const uint64_t arguments[] = {RECORD_MAPPED, 0};
    struct fi_path normal;

    if (!path_normalise(&normal, "/", path) || !path_fold(&normal, path_any_directory, NULL)) {
        return NULL;
    }
    for (size_t i = 0; i < 2; i++) {
        struct fi_query q = query_make(RECORD_CONTENT, arguments[i], normal.text, normal.length);
        const struct record *r = segment_find(&node->index, &q);

        if (r != NULL && r->error == 0 && r->payload_size >= sizeof(struct record_content)) {
            return &((const struct record_content *)record_payload(r))->st;
        }
    }
    return NULL;
}

/* A library that was loaded from the mirror does not keep the inode of its original in use, so
 * another file may have that inode by now. It will hardly have the same size and time, too. */
static bool is_unchanged(const struct stat *then, const struct stat *now)
{
    return then->st_size == now->st_size && then->st_mtim.tv_sec == now->st_mtim.tv_sec &&
           then->st_mtim.tv_nsec == now->st_mtim.tv_nsec;
}

/* Is `st` the file that was loaded under this name? The file may have been renamed since, and the
 * name may belong to another file. */
static bool is_same_file(const char *name, const struct stat *loaded, const struct stat *st)
{
    struct stat other;
    bool is_there;

    if (loaded == NULL || loaded->st_ino != st->st_ino) {
        return false;
    }
    is_there = sys_stat(name, &other) == 0;
    if (is_there && other.st_dev != st->st_dev) {
        return false;
    }
    return (is_there && other.st_ino == st->st_ino) || is_unchanged(loaded, st);
}

bool loaded_as_original(const struct node_cache *node, const char *path)
{
    const struct original *o = atomic_load(&originals);
    const struct stat *st = o == NULL ? NULL : loaded_mirrored(node, path);

    while (st != NULL && o != NULL && (o->st.st_ino != st->st_ino || !is_unchanged(st, &o->st))) {
        o = o->next;
    }
    return st != NULL && o != NULL;
}

static void *open_by_other_name(const struct node_cache *node, const struct stat *st, int flags,
                                const struct library_calls *calls)
{
    struct linkmap_list map;
    void *handle = NULL;

    if (!linkmap_all(&map)) {
        return NULL;
    }
    for (size_t i = 0; handle == NULL && i < map.n; i++) {
        const char *name = map.objects[i].name;
        const struct relative *r = name[0] == '/' ? NULL : loaded_find(name);
        const char *original = r == NULL ? name : r->path;

        if (is_same_file(original, loaded_mirrored(node, original), st)) {
            handle = calls->dlopen(name, flags);
            stub_refs_opened(handle, NULL);
        }
    }
    linkmap_free(&map);
    return handle;
}

void *loaded_open(const struct node_cache *node, const char *path, int flags,
                  const struct library_calls *calls)
{
    struct stat st;
    void *handle = NULL;

    if (sys_stat(path, &st) != 0) {
        return NULL;
    }
    if (atomic_load_explicit(&is_mirror_used, memory_order_relaxed)) {
        handle = open_by_other_name(node, &st, flags, calls);
    }
    if (handle == NULL && (flags & RTLD_NOLOAD) == 0) {
        note_original(&st);
    }
    return handle;
}
