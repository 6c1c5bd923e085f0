/* loaded.c - see loaded.h */
#include "answer/loaded.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/kept.h"
#include "base/path.h"
#include "base/sys.h"

/* What was opened by a relative name, newest first: the link map has that name, which means another
 * file after chdir(2). Entries stay. */
struct relative {
    struct relative *next;
    const char *name;
    const char *path;
};

static struct relative *_Atomic relatives;

static const struct relative *find(const char *name)
{
    const struct relative *r = atomic_load(&relatives);

    while (r != NULL && strcmp(r->name, name) != 0) {
        r = r->next;
    }
    return r;
}

void loaded_note(const char *name, const char *path)
{
    const struct relative *known = name[0] == '/' ? NULL : find(name);
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

/* What the original was when it was read, of what was loaded from the mirror; NULL: it was not.
 * (What comes of a symlink before ".." is another file, and is_same_file() sees it.) */
static const struct stat *mirrored(const struct node_cache *node, const char *path)
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

/* Nothing keeps the inode of what was loaded from the mirror in use, as ld.so's mapping would:
 * another file may have it by now, but hardly with that size and time, too. */
static bool is_unchanged(const struct stat *then, const struct stat *now)
{
    return then->st_size == now->st_size && then->st_mtim.tv_sec == now->st_mtim.tv_sec &&
           then->st_mtim.tv_nsec == now->st_mtim.tv_nsec;
}

/* Is it the file that was loaded by this name? It may have been renamed since, and the name be
 * another file's. */
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

void *answer_loaded(const struct node_cache *node, const char *path, int flags,
                    const struct library_calls *calls)
{
    struct linkmap_list map;
    struct stat st;
    void *handle = NULL;

    if (sys_stat(path, &st) != 0 || !linkmap_all(&map)) {
        return NULL;
    }
    for (size_t i = 0; handle == NULL && i < map.n; i++) {
        const char *name = map.objects[i].name;
        const struct relative *r = name[0] == '/' ? NULL : find(name);
        const char *original = r == NULL ? name : r->path;

        if (is_same_file(original, mirrored(node, original), &st)) {
            handle = calls->dlopen(name, flags);
            kept_opened(handle, NULL);
        }
    }
    linkmap_free(&map);
    return handle;
}
