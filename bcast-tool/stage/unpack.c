#include "stage/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "archive/name.h"
#include "base/io.h"
#include "base/pathmap.h"
#include "manifest/manifest.h"
#include "relocate/rewrite.h"
#include "stage/settle.h"
#include "tree/tree.h"
#include "tree/writer.h"

struct unpack {
    struct unpack_options o;
    int top;
    struct tree *tree;
    struct writer *writer;
    struct rewriter *rewriter;
    XXH3_state_t *in, *out; /* of the current file, before and after relocation */
    uint64_t out_size;
    struct pathmap
        *replaced;        /* paths that a later layer holds: the number of the last such layer */
    struct pathmap *seen; /* paths of this layer, from the second layer on */
    int layers;
    bool foreign; /* any layer without a manifest */
    /* of the current layer: */
    FILE *incoming; /* its manifest, spooled; NULL if it has none */
    struct manifest_reader *expected;
    struct manifest_writer *listing;
    FILE *listing_file;
    struct manifest_writer
        *dirs; /* of all layers: the directories, whose modes and times come last */
    FILE *dirs_file;
    struct rewrite_map maps[REWRITE_MAPS];
    int n_maps;
};

static FILE *open_own(struct unpack *u, const char *name, const char *mode, struct fault *f)
{
    int flags = mode[0] == 'w' ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY;
    int fd = openat(u->top, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *file = fd < 0 ? NULL : fdopen(fd, mode[0] == 'w' ? "w+" : "r");
    if (!file)
        fault_errno(f, name, "cannot open");
    return file;
}

struct unpack *unpack_open(int top, const struct unpack_options *o, struct fault *f)
{
    struct unpack *u = io_alloc(sizeof *u);
    u->o = *o;
    u->top = top;
    u->tree = tree_open(top);
    u->writer = writer_new(o->threads);
    u->rewriter = rewriter_new();
    u->in = XXH3_createState();
    u->out = XXH3_createState();
    u->replaced = pathmap_new();
    if (mkdirat(top, NAME_OWN, 0755) == 0 || errno == EEXIST) {
        struct manifest_head plain = {.kind = "unknown", .framing = "foreign"};
        if ((u->dirs_file = open_own(u, SETTLE_DIRS, "w", f))) {
            u->dirs = manifest_create(u->dirs_file, &plain);
            return u;
        }
    }
    fault_errno(f, NAME_OWN, "cannot make the directory");
    unpack_close(u);
    return NULL;
}

static int finish_listing(struct manifest_writer **w, struct fault *f)
{
    int r = *w ? manifest_finish(*w, f) : 0;
    *w = NULL;
    return r;
}

static void end_layer(struct unpack *u)
{
    struct fault ignored = {0};
    manifest_close(u->expected);
    if (u->incoming)
        fclose(u->incoming);
    finish_listing(&u->listing, &ignored);
    if (u->listing_file)
        fclose(u->listing_file);
    for (int i = 0; i < u->n_maps; i++) {
        free((char *)u->maps[i].from);
        free((char *)u->maps[i].to);
    }
    pathmap_free(u->seen);
    u->seen = NULL;
    u->expected = NULL;
    u->incoming = NULL;
    u->listing_file = NULL;
    u->n_maps = 0;
}

void unpack_close(struct unpack *u)
{
    struct fault ignored = {0};
    if (!u)
        return;
    end_layer(u);
    finish_listing(&u->dirs, &ignored);
    if (u->dirs_file)
        fclose(u->dirs_file);
    writer_free(u->writer);
    tree_close(u->tree);
    rewriter_free(u->rewriter);
    XXH3_freeState(u->in);
    XXH3_freeState(u->out);
    pathmap_free(u->replaced);
    free(u);
}

/* Copies the archive's manifest into a file without a name, so that its size does not matter. */
static int spool(struct unpack *u, struct tar *t, struct fault *f)
{
    const uint8_t *data;
    uint64_t offset;
    ssize_t n;
    u->incoming = open_own(u, NAME_OWN "/incoming", "w", f);
    if (!u->incoming)
        return -1;
    unlinkat(u->top, NAME_OWN "/incoming", 0);
    while ((n = tar_data(t, &data, &offset, f)) > 0)
        if (fwrite(data, 1, (size_t)n, u->incoming) != (size_t)n)
            return fault_errno(f, NAME_MANIFEST, "cannot write");
    if (n == 0 && fflush(u->incoming) != 0)
        return fault_errno(f, NAME_MANIFEST, "cannot write");
    rewind(u->incoming);
    return n < 0 ? -1 : 0;
}

static int add_map(struct unpack *u, const char *old, const char *place, struct fault *f)
{
    char normal[PATH_MAX];
    const char *why = *place ? name_normal(place, normal, sizeof normal) : NULL;
    if (why || strlen(old) < 2 || old[strlen(old) - 1] == '/')
        return fault_set(f, NAME_MANIFEST, "the prefix %s is not valid", old);
    u->maps[u->n_maps].from = io_strdup(old);
    u->maps[u->n_maps++].to = *place ? io_format("%s/%s", u->o.dir, normal) : io_strdup(u->o.dir);
    return 0;
}

static int begin_manifest(struct unpack *u, struct tar *t, const char *framing, struct fault *f)
{
    if (spool(u, t, f) < 0 || !(u->expected = manifest_open(u->incoming, f)))
        return -1;
    const struct manifest_head *h = manifest_head(u->expected);
    if (strcmp(h->framing, framing) != 0)
        return fault_set(f, NULL,
                         "the archive's first or last block is damaged, or it was recompressed; "
                         "make it anew with `pack`");
    for (int i = 0; i < h->prefixes; i++)
        if (add_map(u, h->prefix[i].old, h->prefix[i].place, f) < 0)
            return -1;
    return 0;
}

static int begin_listing(struct unpack *u, struct fault *f)
{
    struct manifest_head plain = {.kind = "unknown", .framing = "foreign"};
    char name[64];
    snprintf(name, sizeof name, NAME_OWN "/layer.%d", u->layers);
    u->listing_file = open_own(u, name, "w", f);
    if (!u->listing_file)
        return -1;
    u->listing =
        manifest_create(u->listing_file, u->expected ? manifest_head(u->expected) : &plain);
    return 0;
}

/* The manifest's next record must be this entry; it brings the exact time and what to relocate. */
static int expect(struct unpack *u, struct record *r, struct fault *f)
{
    struct record want;
    struct entry *e = &r->entry;
    int got = manifest_next(u->expected, &want, f);
    if (got < 0)
        return -1;
    const struct entry *w = &want.entry;
    if (got == 0 || strcmp(w->path, e->path) != 0 || w->type != e->type || w->size != e->size ||
        (e->type != ENTRY_SYMLINK && w->mode != e->mode) ||
        (e->link && strcmp(w->link, e->link) != 0))
        return fault_set(f, e->path, "the archive differs from its manifest here");
    e->mtime = w->mtime;
    r->sum = want.sum;
    memcpy(r->reloc, want.reloc, sizeof r->reloc);
    return 0;
}

/* The maps that a record's numbers name. */
static int chosen_maps(const struct unpack *u, const char *reloc, struct rewrite_map *out)
{
    int n = 0;
    for (const char *p = reloc + 1; *p && n < REWRITE_MAPS; p++)
        if (*p >= '0' && *p - '0' < u->n_maps)
            out[n++] = u->maps[*p - '0'];
    return n;
}

/* Passes a file's bytes on, after relocation if there is any. */
static int sink(void *context, const void *data, size_t n, struct fault *f)
{
    struct unpack *u = context;
    (void)f;
    XXH3_64bits_update(u->out, data, n);
    u->out_size += n;
    writer_data(u->writer, data, n);
    return 0;
}

static void skip_hole(struct unpack *u, uint64_t n)
{
    static const char zeros[4096];
    writer_hole(u->writer, n);
    for (; n; n -= n < sizeof zeros ? n : sizeof zeros)
        XXH3_64bits_update(u->in, zeros, n < sizeof zeros ? n : sizeof zeros);
}

/* Reads the file's data; `rewrite` says whether it goes through the rewriter. */
static int copy_data(struct unpack *u, struct tar *t, const struct entry *e, bool rewrite,
                     struct fault *f)
{
    uint64_t size = e->size;
    const uint8_t *data;
    uint64_t offset, at = 0;
    ssize_t n;
    while ((n = tar_data(t, &data, &offset, f)) > 0) {
        if (offset < at || offset > size || (uint64_t)n > size - offset ||
            (offset > at && !e->sparse))
            return fault_set(f, NULL, "the file's data do not fit its size");
        if (offset > at)
            skip_hole(u, offset - at);
        at = offset + (uint64_t)n;
        XXH3_64bits_update(u->in, data, (size_t)n);
        if (rewrite) {
            if (rewriter_feed(u->rewriter, data, (size_t)n, f) < 0)
                return -1;
        } else {
            writer_data(u->writer, data, (size_t)n);
        }
        atomic_fetch_add(u->o.bytes, (uint64_t)n);
    }
    if (n == 0 && at < size && !e->sparse)
        return fault_set(f, NULL, "the file's data are shorter than its size");
    if (n == 0 && at < size)
        skip_hole(u, size - at);
    return n < 0 ? -1 : 0;
}

static int copy_file(struct unpack *u, struct tar *t, struct record *r, struct fault *f)
{
    struct rewrite_map maps[REWRITE_MAPS];
    int n = chosen_maps(u, r->reloc, maps);
    bool rewrite = n > 0;
    XXH3_64bits_reset(u->in);
    if (rewrite) {
        XXH3_64bits_reset(u->out);
        u->out_size = 0;
        rewriter_begin(u->rewriter, (enum rewrite_mode)r->reloc[0], maps, n, sink, u);
    }
    if (copy_data(u, t, &r->entry, rewrite, f) < 0 || (rewrite && rewriter_end(u->rewriter, f) < 0))
        return -1;
    uint64_t sum = XXH3_64bits_digest(u->in);
    if (u->expected && sum != r->sum)
        return fault_set(f, NULL, "the checksum is wrong: the archive is damaged");
    r->sum = rewrite ? XXH3_64bits_digest(u->out) : sum;
    if (rewrite)
        r->entry.size = u->out_size;
    return 0;
}

static int make_file(struct unpack *u, struct tar *t, struct record *r, struct fault *f)
{
    const char *name;
    struct fault inner = {0};
    struct entry *e = &r->entry;
    struct tree_dir *d = tree_parent(u->tree, e->path, &name, true, f);
    if (!d)
        return -1;
    writer_begin(u->writer, d, name, e->path, e->mode, &e->mtime);
    int n = copy_file(u, t, r, &inner);
    writer_end(u->writer);
    if (n < 0)
        return fault_set(f, inner.path[0] ? inner.path : e->path, "%s", inner.reason);
    return writer_failed(u->writer) ? writer_flush(u->writer, f) : 0;
}

static int make_symlink(struct unpack *u, struct record *r, struct fault *f)
{
    const char *name;
    struct entry *e = &r->entry;
    struct tree_dir *d = tree_parent(u->tree, e->path, &name, true, f);
    struct rewrite_map chosen[REWRITE_MAPS];
    int n = u->expected ? chosen_maps(u, r->reloc, chosen) : u->n_maps;
    char *moved = rewrite_path(e->link, u->expected ? chosen : u->maps, n);
    struct timespec times[2] = {{0, UTIME_OMIT}, e->mtime};
    int result = -1;
    if (!d)
        goto out;
    if (!moved && e->link[0] == '/' && !u->expected && !u->o.external_links) {
        fault_set(f, e->path,
                  "the symlink to %s is absolute and leaves the tree; --external-links "
                  "accepts such links, if the archive is to be trusted",
                  e->link);
    } else if (symlinkat(moved ? moved : e->link, tree_dir_fd(d), name) < 0) {
        fault_errno(f, e->path, "cannot make the symlink");
    } else {
        utimensat(tree_dir_fd(d), name, times, AT_SYMLINK_NOFOLLOW);
        result = 0;
    }
    if (moved && result == 0) {
        const char *kept = e->link;
        e->link = moved;
        manifest_add(u->listing, r);
        e->link = kept;
    } else if (result == 0) {
        manifest_add(u->listing, r);
    }
out:
    free(moved);
    return result;
}

/* The target must be there and be a regular file of this tree. */
static int make_hardlink(struct unpack *u, struct record *r, struct fault *f)
{
    const char *name, *target;
    struct stat st;
    struct tree_dir *from, *to;
    if (writer_flush(u->writer, f) < 0 ||
        !(from = tree_parent(u->tree, r->entry.link, &target, false, f)))
        return -1;
    from = tree_dir_get(from);
    to = tree_parent(u->tree, r->entry.path, &name, true, f);
    int result = -1;
    if (to &&
        (fstatat(tree_dir_fd(from), target, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)))
        fault_set(f, r->entry.path, "the hardlink's target %s is no file of the archive",
                  r->entry.link);
    else if (to && linkat(tree_dir_fd(from), target, tree_dir_fd(to), name, 0) < 0)
        fault_errno(f, r->entry.path, "cannot make the hardlink");
    else if (to)
        result = 0;
    tree_dir_put(from);
    return result;
}

/* A later layer may replace files and links, but not directories; no layer may hold a name twice.
 */
static int replace(struct unpack *u, const struct entry *e, struct fault *f)
{
    const char *name;
    struct stat st;
    if (e->type != ENTRY_DIR && pathmap_get(u->seen, e->path))
        return fault_set(f, e->path, "the archive holds this name twice");
    pathmap_put(u->seen, e->path);
    struct tree_dir *d = tree_parent(u->tree, e->path, &name, true, f);
    if (!d)
        return -1;
    if (!*name || fstatat(tree_dir_fd(d), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISDIR(st.st_mode) && e->type != ENTRY_DIR)
        return fault_set(f, e->path, "it would replace a directory of an earlier archive");
    pathmap_put(u->replaced, e->path)->layer = u->layers;
    if (S_ISDIR(st.st_mode))
        return 0;
    if (unlinkat(tree_dir_fd(d), name, 0) < 0)
        return fault_errno(f, e->path, "cannot replace");
    return 0;
}

static int make(struct unpack *u, struct tar *t, struct record *r, struct fault *f)
{
    struct entry *e = &r->entry;
    if (u->layers > 0 && replace(u, e, f) < 0)
        return -1;
    switch (e->type) {
    case ENTRY_SYMLINK:
        return make_symlink(u, r, f);
    case ENTRY_FILE:
        if (make_file(u, t, r, f) < 0)
            return -1;
        break;
    case ENTRY_HARDLINK:
        if (make_hardlink(u, r, f) < 0)
            return -1;
        break;
    case ENTRY_DIR:
        if (*e->path && tree_mkdir(u->tree, e->path, f) < 0)
            return -1;
        manifest_add(u->dirs, r);
    }
    manifest_add(u->listing, r);
    return 0;
}

/* Our own directory in a foreign archive: someone packed a staged tree. Not part of the
 * environment. */
static bool own(const struct entry *e)
{
    return name_below(e->path, NAME_OWN);
}

static int entries(struct unpack *u, struct tar *t, struct fault *f)
{
    struct record r;
    int got;
    while ((got = tar_next(t, &r.entry, f)) > 0) {
        r.sum = 0;
        strcpy(r.reloc, "-");
        if (own(&r.entry) && !u->expected)
            continue;
        if (own(&r.entry)) /* `pack` writes none, and what is there is believed */
            return fault_set(f, r.entry.path, "the name is one of python-mpi-bcast's own");
        if (u->expected && expect(u, &r, f) < 0)
            return -1;
        if (make(u, t, &r, f) < 0)
            return -1;
        atomic_fetch_add(u->o.files, 1);
    }
    return got;
}

static int first_entry(struct unpack *u, struct tar *t, const char *framing, struct fault *f)
{
    struct record r = {.reloc = "-"};
    int got = tar_next(t, &r.entry, f);
    if (got <= 0)
        return got < 0 ? -1 : fault_set(f, NULL, "the archive holds nothing");
    bool listed = r.entry.type == ENTRY_FILE && strcmp(r.entry.path, NAME_MANIFEST) == 0;
    if (listed && begin_manifest(u, t, framing, f) < 0)
        return -1;
    if (!listed && strcmp(framing, "foreign") != 0)
        return fault_set(f, NULL, "the archive's manifest is missing: it is damaged");
    if (!listed && u->o.old_prefix && add_map(u, u->o.old_prefix, "", f) < 0)
        return -1;
    u->foreign |= !listed;
    if (begin_listing(u, f) < 0)
        return -1;
    return listed || own(&r.entry) ? 0 : make(u, t, &r, f);
}

/* All that the manifest lists must have come. */
static int complete_layer(struct unpack *u, struct fault *f)
{
    struct record r;
    int got = u->expected ? manifest_next(u->expected, &r, f) : 0;
    if (got != 0)
        return got < 0 ? -1 : fault_set(f, r.entry.path, "the archive ends before this entry");
    if (finish_listing(&u->listing, f) < 0)
        return -1;
    u->layers++;
    return 0;
}

int unpack_layer(struct unpack *u, tar_next_block *next, void *context, const char *framing,
                 struct fault *f)
{
    struct tar *t = tar_open(next, context, &u->o.policy);
    if (u->layers > 0)
        u->seen = pathmap_new();
    int r = first_entry(u, t, framing, f);
    if (r == 0)
        r = entries(u, t, f);
    if (writer_flush(u->writer, f) < 0)
        r = -1;
    if (r == 0)
        r = complete_layer(u, f);
    end_layer(u);
    tar_close(t);
    return r;
}

int unpack_finish(struct unpack *u, struct fault *f)
{
    struct settle s = {.top = u->top,
                       .layers = u->layers,
                       .replaced = u->replaced,
                       .dir = u->o.dir,
                       .old_prefix = u->o.old_prefix,
                       .foreign = u->foreign};
    tree_forget(u->tree);
    return finish_listing(&u->dirs, f) < 0 ? -1 : settle(&s, f);
}
