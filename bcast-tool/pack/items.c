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

/* Is it of the operating system, which every node has? */
static bool items_is_of_system(const char *real)
{
    static const char *const tops[] = {"/usr", "/lib", "/lib64", "/bin", "/sbin",
                                       "/etc", "/dev", "/proc",  "/sys", "/run"};
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        if (name_below(real, tops[i])) {
            return !name_below(real, "/usr/local") && !name_below(real, "/dev/shm");
        }
    }
    return false;
}

/* Is it in a directory in which the interpreter, the loader or a program of the environment looks? */
static bool items_is_needed(const char *path)
{
    static const char *const tops[] = {"bin", "lib",     "lib64", "libexec", "share",
                                       "etc", "include", "sbin",  "ssl"};
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        if (name_below(path, tops[i])) {
            return true;
        }
    }
    return false;
}

static bool items_is_interpreter(const struct items *it, const char *path, const char *real)
{
    return strncmp(path, "bin/python", 10) == 0 ||
           (strncmp(path, "bin/", 4) == 0 && it->interpreter != NULL &&
            strcmp(real, it->interpreter) == 0);
}

static int items_walk(struct items *it, const char *source, const char *path, const char *top,
                      struct error *err);

/* A link out of the tree that is being followed: the directory that it leads to. */
struct outside {
    const char *real;
    const struct outside *before;
};

/* Does the directory hold one that is being walked? Then a walk of it would not end. */
static bool items_is_circle(const struct items *it, const char *real)
{
    for (const struct outside *o = it->followed; o != NULL; o = o->before) {
        if (name_below(o->real, real)) {
            return true;
        }
    }
    return name_below(it->top, real);
}

/* Packs what the symlink `source` points to, in its place. What a directory there holds may lead out
 * of it in its turn. */
static int items_follow(struct items *it, const char *source, const char *path, const char *real,
                        struct error *err)
{
    struct outside here = {real, it->followed};
    struct stat st;
    if (stat(source, &st) < 0) {
        return error_set_errno(err, source, "cannot read");
    }
    if (S_ISDIR(st.st_mode) && items_is_circle(it, real)) {
        return error_set(err, source,
                         "links that lead out of the tree lead in a circle; exclude it");
    }
    if (it->n_outside++ == 0) {
        it->first_outside = io_strdup(path);
        it->first_target = io_strdup(real);
    }
    if (items_add_one(it, source, path, err) < 0) {
        return -1;
    }
    it->followed = &here;
    int r = S_ISDIR(st.st_mode) ? items_walk(it, real, path, real, err) : 0;
    it->followed = here.before;
    return r;
}

/* Adds the symlink as a link to `target`, which is absolute. */
static int items_add_link(struct items *it, const char *source, const char *path,
                          const char *target, struct error *err)
{
    struct stat st;
    if (lstat(source, &st) < 0) {
        return error_set_errno(err, source, "cannot read");
    }
    if (items_add(it, io_strdup(source), io_strdup(path), &st, err) < 0) {
        return -1;
    }
    struct item *i = &it->list[it->n - 1];
    free(i->link);
    i->link = io_strdup(target);
    return 0;
}

/* A relative link from `source`, whose directory is a real path, names this absolute path. */
static char *items_absolute(const char *source, const char *target)
{
    size_t n = (size_t)(strrchr(source, '/') - source);
    while (strncmp(target, "../", 3) == 0 || strncmp(target, "./", 2) == 0) {
        size_t up = target[1] == '.' ? 1 : 0;
        while (up && n > 0 && source[--n] != '/') {
        }
        target += 2 + up;
        target += strspn(target, "/");
    }
    return io_format("%.*s/%s", (int)n, source, target);
}

/* Adds a symlink that stays one. */
static int items_keep_link(struct items *it, const char *source, const char *path,
                           struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlink(source, target, sizeof target - 1);
    if (n < 0) {
        return error_set_errno(err, source, "cannot read the link");
    }
    target[n] = '\0';
    /* a relative link out would name something else where the tree is staged */
    char *absolute =
        target[0] != '/' && name_link(path, target) != NULL ? items_absolute(source, target) : NULL;
    int r = items_add_link(it, source, path, absolute != NULL ? absolute : target, err);
    free(absolute);
    return r;
}

/* Does the link lead to its place in every copy of `top`, a directory with a real path? One that names
 * its neighbour does: what becomes of the neighbour is decided there. */
static bool items_stays_inside(const struct items *it, const char *source, const char *real,
                               const char *top)
{
    char target[PATH_MAX];
    ssize_t n = readlink(source, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    bool is_alias = n > 0 && strchr(target, '/') == NULL && strcmp(target, ".") != 0 &&
                    strcmp(target, "..") != 0;
    return is_alias || (name_below(real, top) && (it->followed == NULL || target[0] != '/'));
}

/* Adds a symlink of a tree. top: the real path of the tree, or of the directory to which a link out
 * of it has led. */
static int items_visit_link(struct items *it, const char *source, const char *path, const char *top,
                            struct error *err)
{
    char real[PATH_MAX];
    bool dangling = realpath(source, real) == NULL;
    struct stat st;
    if (it->outside == OUTSIDE_FILES && (dangling || !name_below(real, top))) {
        return !dangling && stat(real, &st) == 0 && S_ISREG(st.st_mode)
                   ? items_add_one(it, source, path, err)
                   : 0;
    }
    if (dangling || items_stays_inside(it, source, real, top)) {
        return items_keep_link(it, source, path, err);
    }
    if (it->followed != NULL && name_below(real, it->top)) {
        return items_add_link(it, source, path, real, err); /* back into the environment */
    }
    bool plain = stat(real, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    bool needed = plain && items_is_needed(path) && !items_is_of_system(real);
    if (it->outside == OUTSIDE_KEEP || items_is_interpreter(it, path, real) ||
        (it->outside == OUTSIDE_NEEDED && !needed)) {
        return items_keep_link(it, source, path, err);
    }
    return items_follow(it, source, path, real, err);
}

static int items_visit(struct items *it, const char *dir, const char *dir_path, const char *name,
                       const char *top, struct error *err)
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
    if (S_ISLNK(st.st_mode)) {
        r = items_visit_link(it, source, path, top, err);
        goto skip;
    }
    r = items_add(it, source, path, &st, err);
    return r == 0 && S_ISDIR(st.st_mode) ? items_walk(it, source, path, top, err) : r;
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

static int items_walk(struct items *it, const char *source, const char *path, const char *top,
                      struct error *err)
{
    struct dirent **names;
    int r = 0, n = scandir(source, &names, items_no_dots, items_by_name);
    if (n < 0) {
        return error_set_errno(err, source, "cannot list");
    }
    for (int i = 0; i < n; i++) {
        if (r == 0) {
            r = items_visit(it, source, path, names[i]->d_name, top, err);
        }
        free(names[i]);
    }
    free(names);
    return r;
}

int items_add_tree(struct items *it, const char *source, const char *path, struct error *err)
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
    it->top = real;
    int r = items_walk(it, real, path, real, err);
    it->top = NULL;
    return r;
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
