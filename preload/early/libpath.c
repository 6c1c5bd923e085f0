/* SPDX-License-Identifier: BSD-3-Clause */
/* libpath.c - see libpath.h */
#include "early/libpath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dirtree.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/sys.h"
#include "policy/mounts.h"

enum { KEY_DIGITS = 16, NAME_DIGITS = 6, NAME_BITS = 24 };

static uint32_t hash_name(uint64_t key, const char *name, size_t length)
{
    return (uint32_t)fi_hash(name, length, key) & ((1U << NAME_BITS) - 1);
}

/* --- directories --- */

/* Calls take() for each absolute directory of a search list, in normal form. ld.so accepts both
 * separators. */
static void each_directory(const char *search, void (*take)(void *context, const char *path),
                           void *context)
{
    char *copy = search == NULL ? NULL : strdup(search);
    char *save = NULL;

    if (copy == NULL) {
        return;
    }
    for (char *p = strtok_r(copy, ":;", &save); p != NULL; p = strtok_r(NULL, ":;", &save)) {
        struct fi_path normal;

        if (p[0] == '/' && strchr(p, '$') == NULL && path_normalise(&normal, "/", p) &&
            !normal.has_dotdot) {
            take(context, normal.text);
        }
    }
    free(copy);
}

static uint64_t libpath_key_of(const char *path, const struct mount_place *place)
{
    return fi_hash(place->where, strlen(place->where), fi_hash(path, strlen(path), 0));
}

/* --- the launcher's side --- */

struct description {
    char *mountinfo;
    size_t n_keys, n_names;
    uint64_t keys[LIBPATH_DIRECTORIES];
    uint32_t names[LIBPATH_NAMES];
};

/* Does the place of this mount tell, on all nodes, which file system it is? A FUSE mount without a
 * server may be a different one on each node. */
static bool is_known_everywhere(const struct mount_place *place)
{
    return mounts_is_network(place->type) &&
           (strncmp(place->type, "fuse", 4) != 0 || place->has_server);
}

/* Is `real`, to which `path` resolves, on the same mount? A symlink may lead to something that
 * differs between nodes. */
static bool is_beside(const struct description *t, const char *path,
                      const struct mount_place *place, const char *real)
{
    struct mount_place other;

    mounts_find(t->mountinfo, real, &other);
    return other.mount_length == place->mount_length &&
           strncmp(path, real, place->mount_length) == 0;
}

static bool parent_is_beside(const struct description *t, const char *path,
                             const struct mount_place *place)
{
    char parent[FI_PATH_MAX];
    char real[FI_PATH_MAX];

    snprintf(parent, sizeof parent, "%.*s", (int)path_parent_length(path, strlen(path)), path);
    return sys_canonical(parent, real, sizeof real) == 0 && is_beside(t, path, place, real);
}

/* Can this directory be listed for other nodes? Also a missing one: it has no names in it. */
static bool is_listable(const struct description *t, const char *path, uint64_t *key)
{
    struct mount_place place;
    char real[FI_PATH_MAX];
    struct stat st;

    mounts_find(t->mountinfo, path, &place);
    if (!is_known_everywhere(&place)) {
        return false;
    }
    *key = libpath_key_of(path, &place);
    if (sys_canonical(path, real, sizeof real) == 0) {
        return is_beside(t, path, &place, real);
    }
    return sys_lstat(path, &st) == -ENOENT && parent_is_beside(t, path, &place);
}

/* The state of listing one directory. */
struct directory_listing {
    struct description *description;
    uint64_t key;
    size_t seen;
    bool full;
};

/* Could ld.so ask for this name? */
static bool is_listed_name(const char *name, unsigned char type)
{
    return type != DT_REG || strstr(name, ".so") != NULL;
}

static bool libpath_add_name(void *listing, const char *name, unsigned char type)
{
    struct directory_listing *l = listing;
    struct description *t = l->description;

    l->full = ++l->seen > LIBPATH_ENTRIES || t->n_names == LIBPATH_NAMES;
    if (!l->full && is_listed_name(name, type)) {
        t->names[t->n_names++] = hash_name(l->key, name, strlen(name));
    }
    return !l->full;
}

/* Returns false if the directory could not be read completely, or there is no room. */
static bool libpath_list(struct description *t, const char *path, uint64_t key)
{
    struct directory_listing l = {.description = t, .key = key};
    int fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    int error = fd < 0 ? fd : dirtree_each(fd, libpath_add_name, &l);

    if (fd >= 0) {
        sys_close(fd);
    }
    return (error == 0 && !l.full) || fd == -ENOENT;
}

static void libpath_add_directory(void *description, const char *path)
{
    struct description *t = description;
    size_t n_names = t->n_names;
    uint64_t key;

    if (t->n_keys == LIBPATH_DIRECTORIES || !is_listable(t, path, &key)) {
        return;
    }
    if (libpath_list(t, path, key)) {
        t->keys[t->n_keys++] = key;
    } else {
        t->n_names = n_names;
    }
}

static size_t libpath_write_text(const struct description *t, char *out)
{
    size_t at = (size_t)sprintf(out, "1:");

    for (size_t i = 0; i < t->n_keys; i++) {
        at += (size_t)sprintf(out + at, "%0*llx", KEY_DIGITS, (unsigned long long)t->keys[i]);
    }
    at += (size_t)sprintf(out + at, ":");
    for (size_t i = 0; i < t->n_names; i++) {
        at += (size_t)sprintf(out + at, "%0*x", NAME_DIGITS, t->names[i]);
    }
    return at + (size_t)sprintf(out + at, ".");
}

size_t libpath_describe(const char *search, char *out)
{
    struct description *t = calloc(1, sizeof *t);
    size_t size = 0;

    if (t == NULL) {
        return 0;
    }
    t->mountinfo = mounts_read();
    if (t->mountinfo != NULL) {
        each_directory(search, libpath_add_directory, t);
        size = t->n_keys > 0 ? libpath_write_text(t, out) : 0;
    }
    free(t->mountinfo);
    free(t);
    return size;
}

/* --- a rank's side --- */

/* Reads `digits` hexadecimal digits. Returns false if there are fewer. */
static bool libpath_take_number(const char **at, int digits, uint64_t *out)
{
    char text[KEY_DIGITS + 1];
    char *end;

    memccpy(text, *at, '\0', (size_t)digits);
    text[digits] = '\0';
    if (strspn(text, "0123456789abcdef") != (size_t)digits) {
        return false;
    }
    *out = strtoull(text, &end, 16);
    *at += digits;
    return true;
}

static int libpath_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

struct loading {
    struct libpath *libpath;
    char *mountinfo;
    size_t n_keys;
    uint64_t keys[LIBPATH_DIRECTORIES];
};

/* Parses the keys of the launcher's directories and all names. Returns false if the text is
 * malformed. */
static bool libpath_parse(struct loading *l, const char *text)
{
    struct libpath *p = l->libpath;
    uint64_t number;

    if (strncmp(text, "1:", 2) != 0) {
        return false;
    }
    text += 2;
    while (l->n_keys < LIBPATH_DIRECTORIES && libpath_take_number(&text, KEY_DIGITS, &number)) {
        l->keys[l->n_keys++] = number;
    }
    if (*text++ != ':') {
        return false;
    }
    while (p->n_names < LIBPATH_NAMES && libpath_take_number(&text, NAME_DIGITS, &number)) {
        p->names[p->n_names++] = (uint32_t)number;
    }
    qsort(p->names, p->n_names, sizeof *p->names, libpath_compare);
    return strcmp(text, ".") == 0;
}

static void match_directory(void *loading, const char *path)
{
    struct loading *l = loading;
    struct libpath *p = l->libpath;
    struct mount_place place;
    uint64_t key;

    mounts_find(l->mountinfo, path, &place);
    key = libpath_key_of(path, &place);
    for (size_t i = 0; i < l->n_keys && p->n_directories < LIBPATH_DIRECTORIES; i++) {
        char *copy = l->keys[i] == key ? strdup(path) : NULL;

        if (copy != NULL) {
            p->directories[p->n_directories++] =
                (struct libpath_directory){copy, strlen(copy), key};
            return;
        }
    }
}

bool libpath_load(struct libpath *p, const char *text, const char *search)
{
    struct loading l = {.libpath = p};

    *p = (struct libpath){0};
    if (!libpath_parse(&l, text)) {
        return false;
    }
    l.mountinfo = mounts_read();
    if (l.mountinfo != NULL) {
        each_directory(search, match_directory, &l);
    }
    free(l.mountinfo);
    return p->n_directories > 0;
}

void libpath_free(struct libpath *p)
{
    for (size_t i = 0; i < p->n_directories; i++) {
        free(p->directories[i].path);
    }
    p->n_directories = 0;
}

/* The nearest listed directory above the path. */
static const struct libpath_directory *libpath_directory_of(const struct libpath *p,
                                                            const struct fi_path *path)
{
    const struct libpath_directory *best = NULL;

    for (size_t i = 0; i < p->n_directories; i++) {
        const struct libpath_directory *d = &p->directories[i];

        if (path->length > d->length && (best == NULL || d->length > best->length) &&
            path_has_prefix(path->text, path->length, d->path, d->length)) {
            best = d;
        }
    }
    return best;
}

/* Of regular files, only names that contain ".so" have been listed. */
static bool libpath_lacks(const struct libpath *p, const char *path, bool is_directory)
{
    const struct libpath_directory *d;
    struct fi_path normal;
    const char *name;
    size_t length;
    uint32_t hash;

    if (!path_normalise(&normal, "/", path) || normal.has_dotdot) {
        return false;
    }
    d = libpath_directory_of(p, &normal);
    if (d == NULL) {
        return false;
    }
    name = normal.text + d->length + 1;
    length = strcspn(name, "/");
    if (name[length] == '\0' && !is_directory && strstr(name, ".so") == NULL) {
        return false;
    }
    hash = hash_name(d->key, name, length);
    return bsearch(&hash, p->names, p->n_names, sizeof hash, libpath_compare) == NULL;
}

bool libpath_lacks_library(const struct libpath *p, const char *path)
{
    return libpath_lacks(p, path, false);
}

bool libpath_lacks_directory(const struct libpath *p, const char *path)
{
    return libpath_lacks(p, path, true);
}

bool libpath_has_listed(const struct libpath *p, const char *path)
{
    struct fi_path normal;

    if (!path_normalise(&normal, "/", path)) {
        return false;
    }
    for (size_t i = 0; i < p->n_directories; i++) {
        if (strcmp(p->directories[i].path, normal.text) == 0) {
            return true;
        }
    }
    return false;
}
