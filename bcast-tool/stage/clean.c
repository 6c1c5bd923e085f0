/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/clean.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/dirtree.h"
#include "base/io.h"
#include "base/pathmap.h"
#include "manifest/manifest.h"
#include "stage/destination.h"
#include "stage/trust.h"
#include "tree/tree.h"

struct cleaning {
    struct pathmap *listed; /* the paths of the manifest */
    uint64_t kept;
    char first[PATH_MAX]; /* the first path that is kept */
};

static int clean_read_manifest(int top, struct pathmap *listed, struct error *err)
{
    struct record r;
    int got = -1, fd = openat(top, NAME_MANIFEST, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    if (in == NULL) {
        return error_set_errno(err, NAME_MANIFEST, "cannot open");
    }
    struct manifest_reader *m = manifest_open(in, err);
    while (m != NULL && (got = manifest_next(m, &r, err)) > 0) {
        pathmap_put(listed, r.entry.path);
    }
    manifest_close(m);
    fclose(in);
    return got;
}

static bool clean_is_byte_code(const char *path)
{
    size_t n = strlen(path);
    return strstr(path, "__pycache__/") != NULL && n > 4 && strcmp(path + n - 4, ".pyc") == 0;
}

/* Did `stage` make it, or Python from what `stage` made? */
static bool clean_is_ours(const struct cleaning *s, const char *path)
{
    return pathmap_get(s->listed, path) != NULL || clean_is_byte_code(path);
}

static void clean_keep(struct cleaning *s, const char *path)
{
    if (s->kept++ == 0) {
        snprintf(s->first, sizeof s->first, "%s", path);
    }
}

static int clean_dir(struct cleaning *s, int fd, const char *path, struct error *err);

static int clean_entry(struct cleaning *s, int dir, const char *name, const char *path,
                       struct error *err)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return error_set_errno(err, path, "cannot stat");
    }
    if (!S_ISDIR(st.st_mode)) {
        if (!clean_is_ours(s, path)) {
            clean_keep(s, path);
        } else if (unlinkat(dir, name, 0) < 0) {
            return error_set_errno(err, path, "cannot remove");
        }
        return 0;
    }
    int fd = dirtree_open(dir, name);
    if (fd < 0) {
        errno = -fd;
        return error_set_errno(err, path, "cannot open");
    }
    uint64_t before = s->kept;
    if (clean_dir(s, fd, path, err) < 0) {
        return -1;
    }
    if (s->kept > before) {
        return 0;
    }
    return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? error_set_errno(err, path, "cannot remove") : 0;
}

/* Closes `fd`. */
static int clean_dir(struct cleaning *s, int fd, const char *path, struct error *err)
{
    struct dirent *e;
    int r = 0;
    DIR *d = fdopendir(fd);
    while (d != NULL && r == 0 && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (!*path && strcmp(e->d_name, NAME_OWN) == 0)) {
            continue;
        }
        char *below = *path ? io_format("%s/%s", path, e->d_name) : io_strdup(e->d_name);
        r = clean_entry(s, dirfd(d), e->d_name, below, err);
        free(below);
    }
    if (d != NULL) {
        closedir(d);
    }
    return r;
}

/* The tool's own directory goes last: until then the rest can still be cleaned. */
static int clean_staged(struct destination *p, int top, struct error *err)
{
    struct cleaning s = {.listed = pathmap_new()};
    int r = clean_read_manifest(top, s.listed, err);
    if (r == 0) {
        r = clean_dir(&s, dup(top), "", err);
    }
    pathmap_free(s.listed);
    if (r == 0 && s.kept) {
        r = error_set(err, p->dir,
                      "%llu files that `stage` did not make are left (the first: %s); --force "
                      "removes them",
                      (unsigned long long)s.kept, s.first);
    }
    return r < 0 ? -1 : tree_remove(p->parent_fd, p->base, err);
}

static int clean_open_destination(struct destination *p, bool all, struct error *err)
{
    struct destination_label label;
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        return errno == ENOENT ? 0 : error_set_errno(err, p->dir, "cannot open");
    }
    int r = trust_tree(top, p->dir, err);
    if (r == 0 && !destination_read_label(top, &label)) {
        r = error_set(err, p->dir, "it was not made by `stage`; not removed");
    }
    if (r == 0) {
        r = all ? tree_remove(p->parent_fd, p->base, err) : clean_staged(p, top, err);
    }
    close(top);
    return r;
}

int clean_destination(const char *dir, bool all, struct error *err)
{
    struct destination p;
    char name[PARTIAL_NAME];
    int r = destination_open(&p, dir, err);
    if (r == 0) {
        r = partial_new_name(p.base, name, err);
    }
    if (r == 0) {
        r = destination_begin(&p, name, partial_number(name), err);
    }
    if (r == 0) {
        r = clean_open_destination(&p, all, err);
    }
    destination_close(&p);
    return r;
}
