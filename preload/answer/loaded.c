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

/* The original's inode of what was loaded from the mirror; 0: it was not. (What comes of a symlink
 * before ".." is another file, and is_same_file() sees it.) */
static uint64_t mirrored_inode(const struct node_cache *node, const char *path)
{
    static const uint64_t arguments[] = {RECORD_MAPPED, 0};
    struct fi_path normal;

    if (!path_normalise(&normal, "/", path) || !path_fold(&normal, path_any_directory, NULL)) {
        return 0;
    }
    for (size_t i = 0; i < 2; i++) {
        struct fi_query q = query_make(RECORD_CONTENT, arguments[i], normal.text, normal.length);
        const struct record *r = segment_find(&node->index, &q);

        if (r != NULL && r->error == 0 && r->payload_size >= sizeof(struct record_content)) {
            return ((const struct record_content *)record_payload(r))->st.st_ino;
        }
    }
    return 0;
}

static bool is_same_file(const char *path, const struct stat *st)
{
    struct stat other;

    return sys_stat(path, &other) == 0 && other.st_ino == st->st_ino && other.st_dev == st->st_dev;
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

        if (mirrored_inode(node, original) == st.st_ino && is_same_file(original, &st)) {
            handle = calls->dlopen(name, flags);
            kept_opened(handle, NULL);
        }
    }
    linkmap_free(&map);
    return handle;
}
