/* SPDX-License-Identifier: BSD-3-Clause */
/* dirs.c - see dirs.h */
#include "elf/dirs.h"

#include <string.h>

/* A token's name ends where no character of an identifier follows. */
static int dirs_is_identifier(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* The length of the token after '$', with braces, if it is the one of this name; else 0. */
static size_t token_length(const char *text, const char *name)
{
    size_t length = strlen(name);
    int braced = text[0] == '{';
    if (strncmp(text + braced, name, length) != 0) {
        return 0;
    }
    char next = text[braced + length];
    if (braced ? next != '}' : dirs_is_identifier(next)) {
        return 0;
    }
    return braced ? length + 2 : length;
}

struct token {
    const char *name, *value;
};

static size_t find_token(const char *text, const struct token tokens[3], const char **value)
{
    for (int i = 0; i < 3; i++) {
        size_t length = token_length(text, tokens[i].name);
        if (length) {
            *value = tokens[i].value;
            return length;
        }
    }
    return 0;
}

char *fi_dst_expand(struct fi_pool *pool, const struct fi_elf_host *host, const char *text,
                    const char *origin)
{
    const struct token tokens[3] = {{"ORIGIN", origin},
                                    {"PLATFORM", host != NULL ? host->platform : NULL},
                                    {"LIB", host != NULL ? host->lib : NULL}};
    char *done = fi_pool_strdup(pool, "");
    const char *dollar;
    while (done != NULL && (dollar = strchr(text, '$')) != NULL) {
        const char *value = "$";
        size_t length = find_token(dollar + 1, tokens, &value);
        if (value == NULL) {
            return fi_pool_strdup(pool, "");
        }
        char *before = fi_pool_strndup(pool, text, dollar - text);
        done = before != NULL ? fi_pool_join(pool, done, before, value) : NULL;
        text = dollar + 1 + length;
    }
    return done != NULL ? fi_pool_join(pool, done, text, "") : NULL;
}

char *fi_origin_of(struct fi_pool *pool, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return fi_pool_strdup(pool, ".");
    }
    return fi_pool_strndup(pool, path, slash == path ? 1 : slash - path);
}

char *fi_absolute(struct fi_pool *pool, const char *cwd, const char *path)
{
    if (path[0] == '/') {
        return fi_pool_strdup(pool, path);
    }
    return cwd != NULL ? fi_pool_join(pool, cwd, "/", path) : NULL;
}

/* Makes all slashes at the end of a directory one slash. */
static char *dirs_one_slash(struct fi_pool *pool, const char *dir)
{
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/') {
        length--;
    }
    char *cut = fi_pool_strndup(pool, dir, length);
    if (cut == NULL || length == 0 || cut[length - 1] == '/') {
        return cut;
    }
    return fi_pool_join(pool, cut, "/", "");
}

static int dirs_contains(const char *const *list, const char *text)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, text) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Prepares one element of a list. NULL: with *skip it is to be left out, without *skip memory is
 * short. */
static char *dirs_element(struct fi_pool *pool, const struct fi_elf_host *host, const char *text,
                          const char *origin, int *skip)
{
    if (*text == '\0') {
        return fi_pool_strdup(pool, "");
    }
    char *expanded = fi_dst_expand(pool, host, text, origin);
    *skip = expanded != NULL && *expanded == '\0';
    return expanded != NULL && !*skip ? dirs_one_slash(pool, expanded) : NULL;
}

const char **fi_dirs_split(struct fi_pool *pool, const struct fi_elf_host *host, const char *list,
                           const char *separators, const char *origin)
{
    const char **dirs = fi_pool_append(pool, NULL, 0, NULL);
    size_t n = 0;
    char *rest = list != NULL ? fi_pool_strdup(pool, list) : NULL;
    if (list != NULL && rest == NULL) {
        return NULL;
    }
    for (char *text;
         dirs != NULL && rest != NULL && *list && (text = strsep(&rest, separators)) != NULL;) {
        int skip = 0;
        char *dir = dirs_element(pool, host, text, origin, &skip);
        if (dir == NULL && !skip) {
            return NULL;
        }
        if (skip || dirs_contains(dirs, dir)) {
            continue;
        }
        dirs = fi_pool_append(pool, dirs, n++, dir);
    }
    return dirs;
}

size_t fi_dirs_count(const char *const *dirs)
{
    size_t n = 0;
    while (dirs[n] != NULL) {
        n++;
    }
    return n;
}

/* A growing list of directories to search. */
struct places {
    struct fi_pool *pool;
    const struct fi_elf_source *source;
    const char **items;
    size_t n;
};

static int dirs_is_dir(const struct places *places, const char *path)
{
    return places->source->is_dir(places->source->ctx, path);
}

static int add_place(struct places *places, const char *path)
{
    places->items = fi_pool_append(places->pool, places->items, places->n++, path);
    return places->items != NULL;
}

/* Neighbouring subdirectories share their first component. If that does not exist, one look is
 * enough for all of them. */
static int add_subdirs(struct places *places, const char *base, const char *const *subdirs)
{
    const char *top = NULL;
    size_t top_length = 0;
    int top_exists = 0;
    for (; *subdirs != NULL; subdirs++) {
        size_t length = strcspn(*subdirs, "/");
        char *path = fi_pool_join(places->pool, base, *subdirs, "");
        if (path == NULL) {
            return 0;
        }
        if (top == NULL || length != top_length || strncmp(top, *subdirs, length) != 0) {
            char *top_path = fi_pool_strndup(places->pool, path, strlen(base) + length);
            top_exists = top_path != NULL && dirs_is_dir(places, top_path);
            top = *subdirs;
            top_length = length;
        }
        if (top_exists && dirs_is_dir(places, path) && !add_place(places, path)) {
            return 0;
        }
    }
    return 1;
}

const char **fi_dirs_places(struct fi_pool *pool, const struct fi_closure_request *request,
                            const struct fi_elf_host *host, const char *const *dirs)
{
    struct places places = {pool, request->source, fi_pool_append(pool, NULL, 0, NULL), 0};
    const char **subdirs = fi_dirs_split(pool, NULL, host->subdirs, ":", NULL);
    if (subdirs == NULL || places.items == NULL) {
        return NULL;
    }
    for (; *dirs != NULL; dirs++) {
        if (**dirs != '/' && request->cwd == NULL) {
            continue;
        }
        char *base = fi_absolute(pool, request->cwd, *dirs);
        if (base == NULL) {
            return NULL;
        }
        if (!dirs_is_dir(&places, base)) {
            continue;
        }
        if (!add_subdirs(&places, base, subdirs) || !add_place(&places, base)) {
            return NULL;
        }
    }
    return places.items;
}
