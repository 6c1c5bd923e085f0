/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/unpack_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/frame.h"
#include "archive/name.h"
#include "base/io.h"
#include "stage/finalize.h"

static FILE *unpack_open_own(struct unpack *u, const char *name, const char *mode,
                             struct error *err)
{
    int flags = mode[0] == 'w' ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY;
    int fd = openat(u->top, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *file = fd < 0 ? NULL : fdopen(fd, mode[0] == 'w' ? "w+" : "r");
    if (file == NULL) {
        error_set_errno(err, name, "cannot open");
    }
    return file;
}

struct unpack *unpack_open(int top, const struct unpack_options *o, struct error *err)
{
    struct unpack *u = io_alloc(sizeof *u);
    u->o = *o;
    u->top = top;
    u->tree = tree_new(top);
    u->writer = writer_new(o->threads);
    u->rewriter = rewriter_new();
    u->in = XXH3_createState();
    u->out = XXH3_createState();
    u->replaced = pathmap_new();
    if (mkdirat(top, NAME_OWN, 0755) == 0 || errno == EEXIST) {
        struct manifest_head plain = {.kind = "unknown", .framing = FRAMING_UNLISTED};
        if ((u->dirs_file = unpack_open_own(u, FINALIZE_DIRS, "w", err)) != NULL) {
            u->dirs = manifest_create(u->dirs_file, &plain);
            return u;
        }
    }
    error_set_errno(err, NAME_OWN, "cannot make the directory");
    unpack_close(u);
    return NULL;
}

static int unpack_finish_listing(struct manifest_writer **w, struct error *err)
{
    int r = *w != NULL ? manifest_finish(*w, err) : 0;
    *w = NULL;
    return r;
}

static void unpack_end_layer(struct unpack *u)
{
    struct error ignored = {0};
    manifest_close(u->expected);
    if (u->incoming != NULL) {
        fclose(u->incoming);
    }
    unpack_finish_listing(&u->listing, &ignored);
    if (u->listing_file != NULL) {
        fclose(u->listing_file);
    }
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
    struct error ignored = {0};
    if (u == NULL) {
        return;
    }
    unpack_end_layer(u);
    unpack_finish_listing(&u->dirs, &ignored);
    if (u->dirs_file != NULL) {
        fclose(u->dirs_file);
    }
    writer_free(u->writer);
    tree_free(u->tree);
    rewriter_free(u->rewriter);
    XXH3_freeState(u->in);
    XXH3_freeState(u->out);
    pathmap_free(u->replaced);
    free(u);
}

/* Copies the archive's manifest into a file without a name, so that its size does not matter. */
static int unpack_spool_manifest(struct unpack *u, struct tar *t, struct error *err)
{
    const uint8_t *data;
    uint64_t offset;
    ssize_t n;
    u->incoming = unpack_open_own(u, NAME_OWN "/incoming", "w", err);
    if (u->incoming == NULL) {
        return -1;
    }
    unlinkat(u->top, NAME_OWN "/incoming", 0);
    while ((n = tar_data(t, &data, &offset, err)) > 0) {
        if (fwrite(data, 1, (size_t)n, u->incoming) != (size_t)n) {
            return error_set_errno(err, NAME_MANIFEST, "cannot write");
        }
    }
    if (n == 0 && fflush(u->incoming) != 0) {
        return error_set_errno(err, NAME_MANIFEST, "cannot write");
    }
    rewind(u->incoming);
    return n < 0 ? -1 : 0;
}

static int unpack_add_map(struct unpack *u, const char *old, const char *subdir, struct error *err)
{
    char normal[PATH_MAX];
    const char *why = *subdir ? name_normal(subdir, normal, sizeof normal) : NULL;
    if (why != NULL || strlen(old) < 2 || old[strlen(old) - 1] == '/') {
        return error_set(err, NAME_MANIFEST, "the prefix %s is not valid", old);
    }
    u->maps[u->n_maps].from = io_strdup(old);
    u->maps[u->n_maps++].to = *subdir ? io_format("%s/%s", u->o.dir, normal) : io_strdup(u->o.dir);
    return 0;
}

static int unpack_begin_manifest(struct unpack *u, struct tar *t, const char *framing,
                                 struct error *err)
{
    if (unpack_spool_manifest(u, t, err) < 0 ||
        (u->expected = manifest_open(u->incoming, err)) == NULL) {
        return -1;
    }
    const struct manifest_head *h = manifest_head(u->expected);
    if (strcmp(h->framing, framing) != 0) {
        return error_set(err, NULL,
                         "the archive's first or last block is damaged, or it was recompressed; "
                         "make it anew with `pack`");
    }
    for (int i = 0; i < h->prefixes; i++) {
        if (unpack_add_map(u, h->prefix[i].old, h->prefix[i].subdir, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int unpack_begin_listing(struct unpack *u, struct error *err)
{
    struct manifest_head plain = {.kind = "unknown", .framing = FRAMING_UNLISTED};
    char name[64];
    snprintf(name, sizeof name, NAME_OWN "/layer.%d", u->layers);
    u->listing_file = unpack_open_own(u, name, "w", err);
    if (u->listing_file == NULL) {
        return -1;
    }
    u->listing =
        manifest_create(u->listing_file, u->expected != NULL ? manifest_head(u->expected) : &plain);
    return 0;
}

/* The next record of the manifest must be this entry. It has the exact time, and says what to
 * relocate. */
static int unpack_expect(struct unpack *u, struct record *r, struct error *err)
{
    struct record want;
    struct entry *e = &r->entry;
    int got = manifest_next(u->expected, &want, err);
    if (got < 0) {
        return -1;
    }
    const struct entry *w = &want.entry;
    if (got == 0 || strcmp(w->path, e->path) != 0 || w->type != e->type || w->size != e->size ||
        (e->type != ENTRY_SYMLINK && w->mode != e->mode) ||
        (e->link != NULL && strcmp(w->link, e->link) != 0)) {
        return error_set(err, e->path, "the archive differs from its manifest here");
    }
    e->mtime = w->mtime;
    r->sum = want.sum;
    memcpy(r->reloc, want.reloc, sizeof r->reloc);
    return 0;
}

/* The tool's own directory in an archive without a manifest: somebody has packed a staged tree. It
 * is no part of the environment. */
static bool unpack_is_own(const struct entry *e)
{
    return name_below(e->path, NAME_OWN);
}

static int unpack_entries(struct unpack *u, struct tar *t, struct error *err)
{
    struct record r;
    int got;
    while ((got = tar_next(t, &r.entry, err)) > 0) {
        r.sum = 0;
        strcpy(r.reloc, "-");
        if (unpack_is_own(&r.entry) && u->expected == NULL) {
            continue;
        }
        if (u->expected != NULL && unpack_expect(u, &r, err) < 0) {
            return -1;
        }
        if (unpack_make(u, t, &r, err) < 0) {
            return -1;
        }
        atomic_fetch_add(u->o.files, 1);
    }
    return got;
}

static int unpack_first_entry(struct unpack *u, struct tar *t, const char *framing,
                              struct error *err)
{
    struct record r = {.reloc = "-"};
    int got = tar_next(t, &r.entry, err);
    if (got <= 0) {
        return got < 0 ? -1 : error_set(err, NULL, "the archive holds nothing");
    }
    bool listed = r.entry.type == ENTRY_FILE && strcmp(r.entry.path, NAME_MANIFEST) == 0;
    if (listed && unpack_begin_manifest(u, t, framing, err) < 0) {
        return -1;
    }
    if (!listed && strcmp(framing, FRAMING_UNLISTED) != 0) {
        return error_set(err, NULL, "the archive's manifest is missing: it is damaged");
    }
    if (!listed && u->o.old_prefix != NULL && unpack_add_map(u, u->o.old_prefix, "", err) < 0) {
        return -1;
    }
    u->unlisted |= !listed;
    if (unpack_begin_listing(u, err) < 0) {
        return -1;
    }
    return listed || unpack_is_own(&r.entry) ? 0 : unpack_make(u, t, &r, err);
}

/* Everything that the manifest lists must have arrived. */
static int unpack_complete_layer(struct unpack *u, struct error *err)
{
    struct record r;
    int got = u->expected != NULL ? manifest_next(u->expected, &r, err) : 0;
    if (got != 0) {
        return got < 0 ? -1 : error_set(err, r.entry.path, "the archive ends before this entry");
    }
    if (unpack_finish_listing(&u->listing, err) < 0) {
        return -1;
    }
    u->layers++;
    return 0;
}

int unpack_layer(struct unpack *u, tar_next_block *next, void *context, const char *framing,
                 struct error *err)
{
    struct tar *t = tar_open(next, context, &u->o.policy);
    if (u->layers > 0) {
        u->seen = pathmap_new();
    }
    int r = unpack_first_entry(u, t, framing, err);
    if (r == 0) {
        r = unpack_entries(u, t, err);
    }
    if (writer_flush(u->writer, err) < 0) {
        r = -1;
    }
    if (r == 0) {
        r = unpack_complete_layer(u, err);
    }
    unpack_end_layer(u);
    tar_close(t);
    return r;
}

int unpack_finish(struct unpack *u, struct error *err)
{
    struct finalize s = {.top = u->top,
                         .layers = u->layers,
                         .replaced = u->replaced,
                         .dir = u->o.dir,
                         .old_prefix = u->o.old_prefix,
                         .unlisted = u->unlisted};
    tree_forget(u->tree);
    return unpack_finish_listing(&u->dirs, err) < 0 ? -1 : finalize_tree(&s, err);
}
