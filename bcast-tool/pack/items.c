/* SPDX-License-Identifier: BSD-3-Clause */
#include "pack/items.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"

static char *items_join(const char *dir, const char *name)
{
    return *dir ? io_format("%s/%s", dir, name) : io_strdup(name);
}

static bool items_is_excluded(const struct items *it, const char *source, const char *path,
                              const char *name)
{
    if (strcmp(path, NAME_OWN) == 0 || (it->out != NULL && strcmp(source, it->out) == 0)) {
        return true;
    }
    for (const char *const *p = it->exclude; p != NULL && *p != NULL; p++) {
        if (fnmatch(*p, name, 0) == 0 || fnmatch(*p, path, FNM_PATHNAME) == 0) {
            return true;
        }
    }
    return false;
}

static struct item *items_append(struct items *it, char *source, char *path, const struct stat *st)
{
    if (it->n == it->room) {
        it->room = it->room ? 2 * it->room : 1024;
        it->list = io_realloc(it->list, it->room * sizeof *it->list);
    }
    struct item *i = &it->list[it->n++];
    *i = (struct item){.source = source, .path = path, .st = *st, .reloc = "-"};
    return i;
}

/* An earlier name of the same file. If there is none, remembers this name and returns NULL. */
static const char *items_other_name(struct items *it, const struct stat *st)
{
    char key[64];
    if (st->st_nlink < 2) {
        return NULL;
    }
    if (it->links == NULL) {
        it->links = pathmap_new();
    }
    snprintf(key, sizeof key, "%ju:%ju", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
    struct pathmap_value *v = pathmap_put(it->links, key);
    if (v->layer) {
        return it->list[v->sum].path;
    }
    v->layer = 1;
    v->sum = it->n - 1;
    return NULL;
}

static const char *items_take_type(struct items *it, struct item *i, mode_t mode)
{
    if (S_ISDIR(mode)) {
        i->type = ENTRY_DIR;
        return NULL;
    }
    if (S_ISLNK(mode)) {
        i->type = ENTRY_SYMLINK;
        return NULL;
    }
    if (!S_ISREG(mode)) {
        return "it is a device, FIFO or socket; exclude it";
    }
    if (mode & (S_ISUID | S_ISGID)) {
        return "it is setuid or setgid, which `stage` refuses; exclude it or clear the bit";
    }
    const char *other = items_other_name(it, &i->st);
    i->type = other != NULL ? ENTRY_HARDLINK : ENTRY_FILE;
    i->link = other != NULL ? io_strdup(other) : NULL;
    return NULL;
}

static int items_read_target(struct item *i, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlink(i->source, target, sizeof target - 1);
    if (n < 0) {
        return error_set_errno(err, i->source, "cannot read the link");
    }
    target[n] = '\0';
    i->link = io_strdup(target);
    return 0;
}

/* Takes ownership of both strings. */
static int items_add(struct items *it, char *source, char *path, const struct stat *st,
                     struct error *err)
{
    char normal[PATH_MAX];
    struct item *i = items_append(it, source, path, st);
    const char *why = *path ? name_normal(path, normal, sizeof normal) : NULL;
    if (why == NULL) {
        why = items_take_type(it, i, st->st_mode);
    }
    if (why != NULL) {
        return error_set(err, source, "%s", why);
    }
    return i->type == ENTRY_SYMLINK ? items_read_target(i, err) : 0;
}

int items_add_one(struct items *it, const char *source, const char *path, struct error *err)
{
    struct stat st;
    if (stat(source, &st) < 0) {
        return error_set_errno(err, source, "cannot read");
    }
    return items_add(it, io_strdup(source), io_strdup(path), &st, err);
}

/* Does the symlink lead out of `top`, which is a real path? A dangling one counts as leading out.
 */
static bool items_leads_out(const char *source, const char *top)
{
    char real[PATH_MAX];
    return realpath(source, real) == NULL || !name_below(real, top);
}

/* Is it a file of the operating system, which every node has? */
static bool items_is_of_system(const char *real)
{
    static const char *const tops[] = {"/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/"};
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        if (strncmp(real, tops[i], strlen(tops[i])) == 0 &&
            strncmp(real, "/usr/local/", strlen("/usr/local/")) != 0) {
            return true;
        }
    }
    return false;
}

static bool items_is_needed(const char *path)
{
    return strncmp(path, "lib/", 4) == 0 || strncmp(path, "lib64/", 6) == 0;
}

static int items_walk(struct items *it, const char *source, const char *path, const char *follow,
                      struct error *err);

enum { OUTSIDE_DEPTH = 16 };

/* Packs what the symlink `source` points to, in its place. What a directory there holds may lead out
 * of it in its turn, and an absolute link names a place that will not be there. */
static int items_follow(struct items *it, const char *source, const char *path, const char *real,
                        struct error *err)
{
    struct stat st;
    if (it->depth == OUTSIDE_DEPTH) {
        return error_set(err, source, "links that lead out of the tree lead in a circle");
    }
    if (items_add_one(it, source, path, err) < 0) {
        return -1;
    }
    if (stat(source, &st) < 0) {
        return error_set_errno(err, source, "cannot read");
    }
    it->depth++;
    int r = S_ISDIR(st.st_mode) ? items_walk(it, real, path, real, err) : 0;
    it->depth--;
    return r;
}

/* Does what it->outside says with the symlink. 1: it is packed as any other entry. */
static int items_handle_outside(struct items *it, const char *source, const char *path,
                                const char *top, struct error *err)
{
    char real[PATH_MAX], target[2] = "";
    bool absolute = it->depth > 0 && readlink(source, target, 1) == 1 && target[0] == '/';
    if (it->outside == OUTSIDE_KEEP || strncmp(path, "bin/python", 10) == 0 ||
        realpath(source, real) == NULL || (name_below(real, top) && !absolute)) {
        return 1;
    }
    if (it->outside == OUTSIDE_FOLLOW) {
        return items_follow(it, source, path, real, err);
    }
    if (items_is_needed(path) && !items_is_of_system(real) && it->n_outside++ == 0) {
        it->first_outside = io_strdup(path);
        it->first_target = io_strdup(real);
    }
    return 1;
}

static int items_visit(struct items *it, const char *dir, const char *dir_path, const char *name,
                       const char *follow, struct error *err)
{
    struct stat st;
    char *source = items_join(dir, name), *path = items_join(dir_path, name);
    int r = 0;
    if (items_is_excluded(it, source, path, name)) {
        goto skip;
    }
    if (lstat(source, &st) < 0) {
        r = error_set_errno(err, source, "cannot read");
        goto skip;
    }
    if (S_ISLNK(st.st_mode) && it->outside != OUTSIDE_KEEP) {
        r = items_handle_outside(it, source, path, follow, err);
        if (r <= 0) {
            goto skip;
        }
    } else if (S_ISLNK(st.st_mode) && follow != NULL && items_leads_out(source, follow)) {
        r = stat(source, &st) == 0 && S_ISREG(st.st_mode) ? items_add_one(it, source, path, err)
                                                          : 0;
        goto skip;
    }
    r = items_add(it, source, path, &st, err);
    return r == 0 && S_ISDIR(st.st_mode) ? items_walk(it, source, path, follow, err) : r;
skip:
    free(source);
    free(path);
    return r;
}

/* strcmp(), not strcoll(): the order must be the same everywhere. */
static int items_by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int items_no_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int items_walk(struct items *it, const char *source, const char *path, const char *follow,
                      struct error *err)
{
    struct dirent **names;
    int r = 0, n = scandir(source, &names, items_no_dots, items_by_name);
    if (n < 0) {
        return error_set_errno(err, source, "cannot list");
    }
    for (int i = 0; i < n; i++) {
        if (r == 0) {
            r = items_visit(it, source, path, names[i]->d_name, follow, err);
        }
        free(names[i]);
    }
    free(names);
    return r;
}

int items_add_tree(struct items *it, const char *source, const char *path, bool follow,
                   struct error *err)
{
    struct stat st;
    char real[PATH_MAX];
    if (stat(source, &st) < 0 || realpath(source, real) == NULL) {
        return error_set_errno(err, source, "cannot read");
    }
    if (!S_ISDIR(st.st_mode)) {
        return error_set(err, source, "not a directory");
    }
    if (items_add(it, io_strdup(source), io_strdup(path), &st, err) < 0) {
        return -1;
    }
    return items_walk(it, source, path, follow || it->outside != OUTSIDE_KEEP ? real : NULL, err);
}

void items_free(struct items *it)
{
    for (size_t i = 0; i < it->n; i++) {
        free(it->list[i].source);
        free(it->list[i].path);
        free(it->list[i].link);
    }
    free(it->list);
    free(it->first_outside);
    free(it->first_target);
    pathmap_free(it->links);
    *it = (struct items){0};
}
