#include "stage/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"
#include "manifest/manifest.h"
#include "relocate/foreign.h"
#include "tree/tree.h"

struct work {
    const struct settle *s;
    struct tree *tree;
    const char *old_prefix;  /* to look for; NULL: unknown */
    struct pathmap *changed; /* path -> size and checksum after relocation */
    struct manifest_writer *out;
    struct late *late;
    mode_t top_mode;
    struct timespec top_time;
};

/* A directory whose mode must wait until those below it have theirs. */
struct late {
    struct late *next;
    char *path;
    mode_t mode;
};

static FILE *open_in(int top, const char *name, bool write, struct fault *f)
{
    int flags = write ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
    int fd = openat(top, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *file = fd < 0 ? NULL : fdopen(fd, write ? "w" : "r");
    if (!file)
        fault_errno(f, name, "cannot open");
    return file;
}

static const char *layer_name(int layer, char out[64])
{
    snprintf(out, 64, NAME_OWN "/layer.%d", layer);
    return out;
}

typedef int visit(struct work *w, struct record *r, int layer, struct fault *f);

/* Calls `each` for the records of one listing. */
static int read_listing(struct work *w, const char *name, int layer, visit *each, struct fault *f)
{
    struct record r;
    int got = -1;
    FILE *in = open_in(w->s->top, name, false, f);
    struct manifest_reader *m = in ? manifest_open(in, f) : NULL;
    while (m && (got = manifest_next(m, &r, f)) > 0)
        if (each(w, &r, layer, f) < 0) {
            got = -1;
            break;
        }
    manifest_close(m);
    if (in)
        fclose(in);
    return got;
}

static int relocate(struct work *w, struct record *r, int layer, struct fault *f)
{
    (void)layer;
    return r->entry.type == ENTRY_FILE
               ? foreign_file(w->tree, r->entry.path, w->old_prefix, w->s->dir, w->changed, f)
               : 0;
}

/* Archives without a manifest: conda-pack's own list, or a scan for the prefix if it is known. */
static int relocate_foreign(struct work *w, struct fault *f)
{
    char name[64];
    int r = foreign_conda_pack(w->tree, w->s->dir, w->changed, f);
    if (r != 0)
        return r < 0 ? -1 : 0;
    char *found = w->s->old_prefix ? NULL : foreign_prefix(w->tree);
    w->old_prefix = found ? found : w->s->old_prefix;
    for (int i = 0; w->old_prefix && r == 0 && i < w->s->layers; i++)
        r = read_listing(w, layer_name(i, name), i, relocate, f);
    free(found);
    return r;
}

static int merge(struct work *w, struct record *r, int layer, struct fault *f)
{
    (void)f;
    struct pathmap_value *v = pathmap_get(w->s->replaced, r->entry.path);
    if (v && v->layer > layer)
        return 0;
    v = pathmap_get(w->changed, r->entry.path);
    if (v && r->entry.type == ENTRY_FILE) {
        r->sum = v->sum;
        r->entry.size = v->size;
    }
    manifest_add(w->out, r);
    return 0;
}

static int copy_head(struct work *w, struct manifest_head *h, struct fault *f)
{
    char name[64];
    FILE *in = open_in(w->s->top, layer_name(0, name), false, f);
    struct manifest_reader *m = in ? manifest_open(in, f) : NULL;
    if (m)
        *h = *manifest_head(m);
    h->prefixes = 0; /* everything is relocated: the tree's prefix is where it stands */
    manifest_close(m);
    if (in)
        fclose(in);
    return m ? 0 : -1;
}

static int write_manifest(struct work *w, struct fault *f)
{
    char name[64];
    struct manifest_head h;
    if (w->s->layers == 1 && !w->s->foreign) /* nothing to merge */
        return renameat(w->s->top, layer_name(0, name), w->s->top, NAME_MANIFEST) < 0
                   ? fault_errno(f, NAME_MANIFEST, "cannot write")
                   : 0;
    if (copy_head(w, &h, f) < 0)
        return -1;
    FILE *out = open_in(w->s->top, NAME_MANIFEST, true, f);
    if (!out)
        return -1;
    int r = 0;
    w->out = manifest_create(out, &h);
    for (int i = 0; r == 0 && i < w->s->layers; i++)
        r = read_listing(w, layer_name(i, name), i, merge, f);
    if (manifest_finish(w->out, f) < 0)
        r = -1;
    if (fclose(out) != 0 && r == 0)
        r = fault_errno(f, NAME_MANIFEST, "cannot write");
    for (int i = 0; i < w->s->layers; i++)
        unlinkat(w->s->top, layer_name(i, name), 0);
    return r;
}

static int set_mode(struct work *w, const char *path, mode_t mode, struct fault *f)
{
    const char *name;
    struct tree_dir *d = tree_parent(w->tree, path, &name, false, f);
    if (!d)
        return -1;
    int fd = tree_open_dir(tree_dir_fd(d), name); /* follows no link */
    int r = fd < 0 || fchmod(fd, mode) < 0 ? fault_errno(f, path, "cannot set the mode") : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

static int set_directory(struct work *w, struct record *r, int layer, struct fault *f)
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
    struct tree_dir *d = tree_parent(w->tree, e->path, &name, false, f);
    if (!d)
        return -1;
    if (utimensat(tree_dir_fd(d), name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return fault_errno(f, e->path, "cannot set the time");
    if ((e->mode & 0700) == 0700)
        return e->mode == 0755 ? 0 : set_mode(w, e->path, e->mode, f);
    struct late *late = io_alloc(sizeof *late);
    *late = (struct late){w->late, io_strdup(e->path), e->mode};
    w->late = late;
    return 0;
}

/* Those that shut out their owner, from the last to the first: parents come first in a listing. */
static int set_late(struct work *w, struct fault *f)
{
    int r = 0;
    tree_forget(w->tree);
    while (w->late) {
        struct late *l = w->late;
        w->late = l->next;
        if (r == 0)
            r = set_mode(w, l->path, l->mode, f);
        free(l->path);
        free(l);
    }
    return r;
}

/* Last, as everything done in it changes its time. */
static int set_top(struct work *w, struct fault *f)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, w->top_time};
    unlinkat(w->s->top, SETTLE_DIRS, 0);
    if (fchmod(w->s->top, w->top_mode) < 0 || futimens(w->s->top, times) < 0)
        return fault_errno(f, NULL, "cannot set mode and time of the top directory");
    return 0;
}

int settle(const struct settle *s, struct fault *f)
{
    struct work w = {.s = s,
                     .tree = tree_open(s->top),
                     .changed = pathmap_new(),
                     .top_mode = 0755,
                     .top_time = {0, UTIME_NOW}};
    int r = s->foreign ? relocate_foreign(&w, f) : 0;
    if (r == 0)
        r = write_manifest(&w, f);
    if (r == 0)
        r = read_listing(&w, SETTLE_DIRS, 0, set_directory, f);
    if (set_late(&w, f) < 0)
        r = -1;
    if (r == 0)
        r = set_top(&w, f);
    pathmap_free(w.changed);
    tree_close(w.tree);
    return r;
}
