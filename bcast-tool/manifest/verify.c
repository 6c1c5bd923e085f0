/* SPDX-License-Identifier: BSD-3-Clause */
#include "manifest/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "archive/name.h"
#include "base/io.h"
#include "manifest/manifest.h"
#include "tree/tree.h"

struct check {
    struct verify *v;
    struct tree *tree;
    char *block;
};

enum { VERIFY_BLOCK = 1 << 20 }; /* bytes that are read at once */

static int verify_contents(struct check *c, int dir, const char *name, const struct record *r,
                           struct error *err)
{
    ssize_t n = -1;
    XXH3_state_t *sum = XXH3_createState();
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    XXH3_64bits_reset(sum);
    while (fd >= 0 && (n = io_read(fd, c->block, VERIFY_BLOCK)) > 0) {
        XXH3_64bits_update(sum, c->block, (size_t)n);
        c->v->bytes += (uint64_t)n;
    }
    uint64_t got = XXH3_64bits_digest(sum);
    XXH3_freeState(sum);
    if (fd >= 0) {
        close(fd);
    }
    if (fd < 0 || n < 0) {
        return error_set_errno(err, r->entry.path, "cannot read");
    }
    return got == r->sum ? 0 : error_set(err, r->entry.path, "its contents have changed");
}

static int verify_file(struct check *c, int dir, const char *name, const struct record *r,
                       const struct stat *st, struct error *err)
{
    const struct entry *e = &r->entry;
    if (!S_ISREG(st->st_mode)) {
        return error_set(err, e->path, "it is no longer a file");
    }
    if ((uint64_t)st->st_size != e->size) {
        return error_set(err, e->path, "its size has changed");
    }
    if (st->st_mtim.tv_sec != e->mtime.tv_sec || st->st_mtim.tv_nsec != e->mtime.tv_nsec) {
        return error_set(err, e->path, "its modification time has changed");
    }
    if ((st->st_mode & 07777) != e->mode) {
        return error_set(err, e->path, "its mode has changed");
    }
    return c->v->contents ? verify_contents(c, dir, name, r, err) : 0;
}

static int verify_symlink(int dir, const char *name, const struct entry *e, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir, name, target, sizeof target - 1);
    if (n < 0) {
        return error_set(err, e->path, "it is no longer a symlink");
    }
    target[n] = '\0';
    return strcmp(target, e->link) == 0 ? 0
                                        : error_set(err, e->path, "the symlink points elsewhere");
}

static int verify_hardlink(struct check *c, const struct entry *e, const struct stat *st,
                           struct error *err)
{
    const char *name;
    struct stat other;
    struct tree_dir *d = tree_parent(c->tree, e->link, &name, false, err);
    if (d == NULL) {
        return -1;
    }
    if (fstatat(tree_dir_fd(d), name, &other, AT_SYMLINK_NOFOLLOW) < 0 ||
        other.st_ino != st->st_ino) {
        return error_set(err, e->path, "it is no longer a hardlink to %s", e->link);
    }
    return 0;
}

static int verify_record(struct check *c, const struct record *r, struct error *err)
{
    const char *name;
    struct stat st;
    const struct entry *e = &r->entry;
    if (!*e->path) {
        return 0;
    }
    struct tree_dir *d = tree_parent(c->tree, e->path, &name, false, err);
    if (d == NULL) {
        return -1;
    }
    if (fstatat(tree_dir_fd(d), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT ? error_set(err, e->path, "it is missing")
                               : error_set_errno(err, e->path, "cannot stat");
    }
    switch (e->type) {
    case ENTRY_FILE:
        return verify_file(c, tree_dir_fd(d), name, r, &st, err);
    case ENTRY_SYMLINK:
        return verify_symlink(tree_dir_fd(d), name, e, err);
    case ENTRY_HARDLINK:
        return verify_hardlink(c, e, &st, err);
    case ENTRY_DIR:
        break;
    }
    if (!S_ISDIR(st.st_mode)) {
        return error_set(err, e->path, "it is no longer a directory");
    }
    return (st.st_mode & 0777) == e->mode ? 0 : error_set(err, e->path, "its mode has changed");
}

static void verify_note(struct check *c, const struct error *own, struct error *err)
{
    c->v->wrong++;
    if (c->v->report != NULL) {
        c->v->report(c->v->context, own);
    }
    error_set(err, own->path, "%s", own->reason);
}

static int verify_all(struct check *c, struct manifest_reader *m, struct error *err)
{
    struct record r;
    int got;
    while ((got = manifest_next(m, &r, err)) > 0) {
        struct error own = {0};
        c->v->files++;
        if (verify_record(c, &r, &own) < 0) {
            verify_note(c, &own, err);
        }
        if (c->v->wrong && c->v->report == NULL) {
            return -1; /* nobody wants to hear of the others */
        }
    }
    return got < 0 || c->v->wrong ? -1 : 0;
}

int verify_tree(int top, struct verify *v, struct error *err)
{
    int r = -1, fd = openat(top, NAME_MANIFEST, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    v->files = v->bytes = v->wrong = 0;
    if (in == NULL) {
        return error_set_errno(err, NAME_MANIFEST, "cannot open");
    }
    struct check c = {v, tree_new(top), io_alloc(VERIFY_BLOCK)};
    struct manifest_reader *m = manifest_open(in, err);
    if (m != NULL) {
        r = verify_all(&c, m, err);
    }
    manifest_close(m);
    fclose(in);
    tree_free(c.tree);
    free(c.block);
    return r;
}
