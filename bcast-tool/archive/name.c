/* SPDX-License-Identifier: BSD-3-Clause */
#include "archive/name.h"

#include <limits.h>
#include <string.h>

/* Appends one component. Returns NULL, or the reason for a refusal. */
static const char *name_add_component(char *out, size_t size, size_t *used, const char *from,
                                      size_t n)
{
    if (n == 0 || (n == 1 && from[0] == '.')) {
        return NULL;
    }
    if (n == 2 && from[0] == '.' && from[1] == '.') {
        return "the name has a \"..\" component";
    }
    if (n > NAME_MAX) {
        return "a component of the name is longer than 255 bytes";
    }
    if (*used + n + 2 > size) {
        return "the name is too long";
    }
    if (*used) {
        out[(*used)++] = '/';
    }
    memcpy(out + *used, from, n);
    *used += n;
    return NULL;
}

const char *name_normal(const char *raw, char *out, size_t size)
{
    size_t used = 0;
    if (raw == NULL || !*raw) {
        return "the entry has no name";
    }
    if (raw[0] == '/') {
        return "the name is absolute";
    }
    if (strchr(raw, '\n') != NULL || strchr(raw, '\r') != NULL) {
        return "the name has a newline";
    }
    for (const char *p = raw; *p;) {
        size_t n = strcspn(p, "/");
        const char *why = name_add_component(out, size, &used, p, n);
        if (why != NULL) {
            return why;
        }
        p += n;
        p += *p == '/';
    }
    out[used] = '\0';
    return NULL;
}

const char *name_link(const char *path, const char *target)
{
    long depth = 0;
    if (target == NULL || !*target) {
        return "the link has no target";
    }
    if (strchr(target, '\n') != NULL) {
        return "the link target has a newline";
    }
    if (target[0] == '/') {
        return NULL;
    }
    for (const char *p = path; (p = strchr(p, '/')) != NULL; p++) {
        depth++;
    }
    for (const char *p = target; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            depth--;
        } else if (n && !(n == 1 && p[0] == '.')) {
            depth++;
        }
        if (depth < 0) {
            return "the symlink leaves the tree";
        }
        p += n;
        p += *p == '/';
    }
    return NULL;
}

bool name_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/' || n == 0);
}
