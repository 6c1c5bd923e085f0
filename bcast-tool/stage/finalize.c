/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/finalize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"
#include "manifest/manifest.h"
#include "relocate/unlisted.h"
#include "tree/tree.h"

struct work {
    const struct finalize *s;
    struct tree *tree;
    const char *old_prefix;  /* the prefix to look for; NULL: not known */
    struct pathmap *changed; /* path -> size and checksum after relocation */
    struct manifest_writer *out;
    struct late *late;
    mode_t top_mode;
    struct timespec top_time;
};

/* A directory that gets its mode only after those below it have theirs. */
struct late {
    struct late *next;
    char *path;
    mode_t mode;
};

static FILE *finalize_open(int top, const char *name, bool write, struct error *err)
{
    int flags = write ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
    int fd = openat(top, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *file = fd < 0 ? NULL : fdopen(fd, write ? "w" : "r");
    if (file == NULL) {
        error_set_errno(err, name, "cannot open");
    }
    return file;
}

static const char *finalize_layer_name(int layer, char out[64])
{
    snprintf(out, 64, NAME_OWN "/layer.%d", layer);
    return out;
}

typedef int visit(struct work *w, struct record *r, int layer, struct error *err);

/* Calls `each` for the records of one listing. */
static int finalize_read_listing(struct work *w, const char *name, int layer, visit *each,
                                 struct error *err)
{
    struct record r;
    int got = -1;
    FILE *in = finalize_open(w->s->top, name, false, err);
    struct manifest_reader *m = in != NULL ? manifest_open(in, err) : NULL;
    while (m != NULL && (got = manifest_next(m, &r, err)) > 0) {
        if (each(w, &r, layer, err) < 0) {
            got = -1;
            break;
        }
    }
    manifest_close(m);
    if (in != NULL) {
        fclose(in);
    }
    return got;
}

static int finalize_relocate(struct work *w, struct record *r, int layer, struct error *err)
{
    (void)layer;
    return r->entry.type == ENTRY_FILE
               ? unlisted_file(w->tree, r->entry.path, w->old_prefix, w->s->dir, w->changed, err)
               : 0;
}

/* Relocates what came without a manifest: by conda-pack's own list, or else by a search for the old
 * prefix, if it is known. */
static int finalize_relocate_unlisted(struct work *w, struct error *err)
{
    char name[64];
    int r = unlisted_conda_pack(w->tree, w->s->dir, w->changed, err);
    if (r != 0) {
        return r < 0 ? -1 : 0;
    }
    char *found = w->s->old_prefix != NULL ? NULL : unlisted_prefix(w->tree);
    w->old_prefix = found != NULL ? found : w->s->old_prefix;
    for (int i = 0; w->old_prefix != NULL && r == 0 && i < w->s->layers; i++) {
        r = finalize_read_listing(w, finalize_layer_name(i, name), i, finalize_relocate, err);
    }
    free(found);
    return r;
}

static int finalize_merge(struct work *w, struct record *r, int layer, struct error *err)
{
    (void)err;
    struct pathmap_value *v = pathmap_get(w->s->replaced, r->entry.path);
    if (v != NULL && v->layer > layer) {
        return 0;
    }
    v = pathmap_get(w->changed, r->entry.path);
    if (v != NULL && r->entry.type == ENTRY_FILE) {
        r->sum = v->sum;
        r->entry.size = v->size;
    }
    manifest_add(w->out, r);
    return 0;
}

static int finalize_copy_head(struct work *w, struct manifest_head *h, struct error *err)
{
    char name[64];
    FILE *in = finalize_open(w->s->top, finalize_layer_name(0, name), false, err);
    struct manifest_reader *m = in != NULL ? manifest_open(in, err) : NULL;
    if (m != NULL) {
        *h = *manifest_head(m);
    }
    h->prefixes = 0; /* all files are relocated, and name DIR itself */
    manifest_close(m);
    if (in != NULL) {
        fclose(in);
    }
    return m != NULL ? 0 : -1;
}

static int finalize_write_manifest(struct work *w, struct error *err)
{
    char name[64];
    struct manifest_head h;
    /* there is nothing to merge */
    if (w->s->layers == 1 && !w->s->unlisted) {
        return renameat(w->s->top, finalize_layer_name(0, name), w->s->top, NAME_MANIFEST) < 0
                   ? error_set_errno(err, NAME_MANIFEST, "cannot write")
                   : 0;
    }
    if (finalize_copy_head(w, &h, err) < 0) {
        return -1;
    }
    FILE *out = finalize_open(w->s->top, NAME_MANIFEST, true, err);
    if (out == NULL) {
        return -1;
    }
    int r = 0;
    w->out = manifest_create(out, &h);
    for (int i = 0; r == 0 && i < w->s->layers; i++) {
        r = finalize_read_listing(w, finalize_layer_name(i, name), i, finalize_merge, err);
    }
    if (manifest_finish(w->out, err) < 0) {
        r = -1;
    }
    if (fclose(out) != 0 && r == 0) {
        r = error_set_errno(err, NAME_MANIFEST, "cannot write");
    }
    for (int i = 0; i < w->s->layers; i++) {
        unlinkat(w->s->top, finalize_layer_name(i, name), 0);
    }
    return r;
}

static int finalize_set_mode(struct work *w, const char *path, mode_t mode, struct error *err)
{
    const char *name;
    struct tree_dir *d = tree_parent(w->tree, path, &name, false, err);
    if (d == NULL) {
        return -1;
    }
    return fchmodat(tree_dir_fd(d), name, mode, 0) < 0
               ? error_set_errno(err, path, "cannot set the mode")
               : 0;
}

static int finalize_set_directory(struct work *w, struct record *r, int layer, struct error *err)
{
    (void)layer;
    const char *name;
    const struct entry *e = &r->entry;
    struct timespec times[2] = {{0, UTIME_OMIT}, e->mtime};
    if (!*e->path) {
        w->top_mode = e->mode | 0700;
        w->top_time = e->mtime;
        return 0;
    }
    struct tree_dir *d = tree_parent(w->tree, e->path, &name, false, err);
    if (d == NULL) {
        return -1;
    }
    if (utimensat(tree_dir_fd(d), name, times, AT_SYMLINK_NOFOLLOW) < 0) {
        return error_set_errno(err, e->path, "cannot set the time");
    }
    if ((e->mode & 0700) == 0700) {
        return e->mode == 0755 ? 0 : finalize_set_mode(w, e->path, e->mode, err);
    }
    struct late *late = io_alloc(sizeof *late);
    *late = (struct late){w->late, io_strdup(e->path), e->mode};
    w->late = late;
    return 0;
}

/* Sets the modes of directories that shut their owner out, from the last to the first: parents come
 * first in a listing. */
static int finalize_set_late(struct work *w, struct error *err)
{
    int r = 0;
    tree_forget(w->tree);
    while (w->late != NULL) {
        struct late *l = w->late;
        w->late = l->next;
        if (r == 0) {
            r = finalize_set_mode(w, l->path, l->mode, err);
        }
        free(l->path);
        free(l);
    }
    return r;
}

/* This comes last, as each change in the directory changes its time. */
static int finalize_set_top(struct work *w, struct error *err)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, w->top_time};
    unlinkat(w->s->top, FINALIZE_DIRS, 0);
    if (fchmod(w->s->top, w->top_mode) < 0 || futimens(w->s->top, times) < 0) {
        return error_set_errno(err, NULL, "cannot set mode and time of the top directory");
    }
    return 0;
}

int finalize_tree(const struct finalize *s, struct error *err)
{
    struct work w = {.s = s,
                     .tree = tree_new(s->top),
                     .changed = pathmap_new(),
                     .top_mode = 0755,
                     .top_time = {0, UTIME_NOW}};
    int r = s->unlisted ? finalize_relocate_unlisted(&w, err) : 0;
    if (r == 0) {
        r = finalize_write_manifest(&w, err);
    }
    if (r == 0) {
        r = finalize_read_listing(&w, FINALIZE_DIRS, 0, finalize_set_directory, err);
    }
    if (finalize_set_late(&w, err) < 0) {
        r = -1;
    }
    if (r == 0) {
        r = finalize_set_top(&w, err);
    }
    pathmap_free(w.changed);
    tree_free(w.tree);
    return r;
}
