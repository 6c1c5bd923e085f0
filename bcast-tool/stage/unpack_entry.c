/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stage/unpack_private.h"

/* The maps that a record names by numbers. */
static int unpack_chosen_maps(const struct unpack *u, const char *reloc, struct rewrite_map *out)
{
    int n = 0;
    for (const char *p = reloc + 1; *p && n < REWRITE_MAPS; p++) {
        if (*p >= '0' && *p - '0' < u->n_maps) {
            out[n++] = u->maps[*p - '0'];
        }
    }
    return n;
}

/* A rewrite_emit: takes the bytes of a file after relocation. */
static int unpack_rewritten(void *context, const void *data, size_t n, struct error *err)
{
    struct unpack *u = context;
    (void)err;
    XXH3_64bits_update(u->out, data, n);
    u->out_size += n;
    writer_data(u->writer, data, n);
    return 0;
}

static void unpack_skip_hole(struct unpack *u, uint64_t n)
{
    static const char zeros[4096];
    writer_hole(u->writer, n);
    for (; n; n -= n < sizeof zeros ? n : sizeof zeros) {
        XXH3_64bits_update(u->in, zeros, n < sizeof zeros ? n : sizeof zeros);
    }
}

/* Copies the data of a file; `rewrite`: through the rewriter. */
static int unpack_copy_data(struct unpack *u, struct tar *t, const struct entry *e, bool rewrite,
                            struct error *err)
{
    uint64_t size = e->size;
    const uint8_t *data;
    uint64_t offset, at = 0;
    ssize_t n;
    while ((n = tar_data(t, &data, &offset, err)) > 0) {
        if (offset < at || offset > size || (uint64_t)n > size - offset ||
            (offset > at && !e->sparse)) {
            return error_set(err, NULL, "the file's data do not fit its size");
        }
        if (offset > at) {
            unpack_skip_hole(u, offset - at);
        }
        at = offset + (uint64_t)n;
        XXH3_64bits_update(u->in, data, (size_t)n);
        if (rewrite) {
            if (rewriter_feed(u->rewriter, data, (size_t)n, err) < 0) {
                return -1;
            }
        } else {
            writer_data(u->writer, data, (size_t)n);
        }
        atomic_fetch_add(u->o.bytes, (uint64_t)n);
    }
    if (n == 0 && at < size && !e->sparse) {
        return error_set(err, NULL, "the file's data are shorter than its size");
    }
    if (n == 0 && at < size) {
        unpack_skip_hole(u, size - at);
    }
    return n < 0 ? -1 : 0;
}

static int unpack_copy_file(struct unpack *u, struct tar *t, struct record *r, struct error *err)
{
    struct rewrite_map maps[REWRITE_MAPS];
    int n = unpack_chosen_maps(u, r->reloc, maps);
    bool rewrite = n > 0;
    XXH3_64bits_reset(u->in);
    if (rewrite) {
        XXH3_64bits_reset(u->out);
        u->out_size = 0;
        rewriter_begin(u->rewriter, (enum rewrite_mode)r->reloc[0], maps, n, unpack_rewritten, u);
    }
    if (unpack_copy_data(u, t, &r->entry, rewrite, err) < 0 ||
        (rewrite && rewriter_end(u->rewriter, err) < 0)) {
        return -1;
    }
    uint64_t sum = XXH3_64bits_digest(u->in);
    if (u->expected != NULL && sum != r->sum) {
        return error_set(err, NULL, "the checksum is wrong: the archive is damaged");
    }
    r->sum = rewrite ? XXH3_64bits_digest(u->out) : sum;
    if (rewrite) {
        r->entry.size = u->out_size;
    }
    return 0;
}

static int unpack_make_file(struct unpack *u, struct tar *t, struct record *r, struct error *err)
{
    const char *name;
    struct error inner = {0};
    struct entry *e = &r->entry;
    struct tree_dir *d = tree_parent(u->tree, e->path, &name, true, err);
    if (d == NULL) {
        return -1;
    }
    writer_begin(u->writer, d, name, e->path, e->mode, &e->mtime);
    int n = unpack_copy_file(u, t, r, &inner);
    writer_end(u->writer);
    if (n < 0) {
        return error_set(err, inner.path[0] ? inner.path : e->path, "%s", inner.reason);
    }
    return writer_failed(u->writer) ? writer_flush(u->writer, err) : 0;
}

static int unpack_make_symlink(struct unpack *u, struct record *r, struct error *err)
{
    const char *name;
    struct entry *e = &r->entry;
    struct tree_dir *d = tree_parent(u->tree, e->path, &name, true, err);
    struct rewrite_map chosen[REWRITE_MAPS];
    int n = u->expected != NULL ? unpack_chosen_maps(u, r->reloc, chosen) : u->n_maps;
    char *moved = rewrite_path(e->link, u->expected != NULL ? chosen : u->maps, n);
    struct timespec times[2] = {{0, UTIME_OMIT}, e->mtime};
    int result = -1;
    if (d == NULL) {
        goto out;
    }
    if (moved == NULL && e->link[0] == '/' && u->expected == NULL && !u->o.external_links) {
        error_set(err, e->path,
                  "the symlink to %s is absolute and leaves the tree; --external-links "
                  "accepts such links, if the archive is to be trusted",
                  e->link);
    } else if (symlinkat(moved != NULL ? moved : e->link, tree_dir_fd(d), name) < 0) {
        error_set_errno(err, e->path, "cannot make the symlink");
    } else {
        utimensat(tree_dir_fd(d), name, times, AT_SYMLINK_NOFOLLOW);
        result = 0;
    }
    if (moved != NULL && result == 0) {
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

/* The target must exist and be a regular file of this tree. */
static int unpack_make_hardlink(struct unpack *u, struct record *r, struct error *err)
{
    const char *name, *target;
    struct stat st;
    struct tree_dir *from, *to;
    if (writer_flush(u->writer, err) < 0 ||
        (from = tree_parent(u->tree, r->entry.link, &target, false, err)) == NULL) {
        return -1;
    }
    from = tree_dir_get(from);
    to = tree_parent(u->tree, r->entry.path, &name, true, err);
    int result = -1;
    if (to != NULL && (fstatat(tree_dir_fd(from), target, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                       !S_ISREG(st.st_mode))) {
        error_set(err, r->entry.path, "the hardlink's target %s is no file of the archive",
                  r->entry.link);
    } else if (to != NULL && linkat(tree_dir_fd(from), target, tree_dir_fd(to), name, 0) < 0) {
        error_set_errno(err, r->entry.path, "cannot make the hardlink");
    } else if (to != NULL) {
        result = 0;
    }
    tree_dir_put(from);
    return result;
}

/* A later layer may replace files and links, but no directories. No layer may have a name twice. */
static int unpack_replace(struct unpack *u, const struct entry *e, struct error *err)
{
    const char *name;
    struct stat st;
    if (e->type != ENTRY_DIR && pathmap_get(u->seen, e->path) != NULL) {
        return error_set(err, e->path, "the archive holds this name twice");
    }
    pathmap_put(u->seen, e->path);
    struct tree_dir *d = tree_parent(u->tree, e->path, &name, true, err);
    if (d == NULL) {
        return -1;
    }
    if (!*name || fstatat(tree_dir_fd(d), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return 0;
    }
    if (S_ISDIR(st.st_mode) && e->type != ENTRY_DIR) {
        return error_set(err, e->path, "it would replace a directory of an earlier archive");
    }
    pathmap_put(u->replaced, e->path)->layer = u->layers;
    if (S_ISDIR(st.st_mode)) {
        return 0;
    }
    if (unlinkat(tree_dir_fd(d), name, 0) < 0) {
        return error_set_errno(err, e->path, "cannot replace");
    }
    return 0;
}

int unpack_make(struct unpack *u, struct tar *t, struct record *r, struct error *err)
{
    struct entry *e = &r->entry;
    if (u->layers > 0 && unpack_replace(u, e, err) < 0) {
        return -1;
    }
    switch (e->type) {
    case ENTRY_SYMLINK:
        return unpack_make_symlink(u, r, err);
    case ENTRY_FILE:
        if (unpack_make_file(u, t, r, err) < 0) {
            return -1;
        }
        break;
    case ENTRY_HARDLINK:
        if (unpack_make_hardlink(u, r, err) < 0) {
            return -1;
        }
        break;
    case ENTRY_DIR:
        if (*e->path && tree_mkdir(u->tree, e->path, err) < 0) {
            return -1;
        }
        manifest_add(u->dirs, r);
    }
    manifest_add(u->listing, r);
    return 0;
}
