/* loaded.c - see loaded.h */
#include "answer/loaded.h"

#include <string.h>

#include "base/kept.h"
#include "base/path.h"
#include "base/sys.h"

/* The original's inode of what was loaded from the mirror under this name of the link map; 0: it
 * was not. */
static uint64_t mirrored_inode(const struct node_cache *node, const char *name)
{
    static const uint64_t arguments[] = {RECORD_MAPPED, 0};
    char cwd[FI_PATH_MAX];
    struct fi_path normal;

    if (strchr(name, '/') == NULL || sys_getcwd(cwd, sizeof cwd) <= 0 ||
        !path_normalise(&normal, cwd, name)) {
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

static bool is_same_file(const char *name, const struct stat *st)
{
    struct stat other;

    return sys_stat(name, &other) == 0 && other.st_ino == st->st_ino && other.st_dev == st->st_dev;
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

        if (mirrored_inode(node, name) == st.st_ino && is_same_file(name, &st)) {
            handle = calls->dlopen(name, flags);
            kept_opened(handle, NULL);
        }
    }
    linkmap_free(&map);
    return handle;
}
