/* SPDX-License-Identifier: BSD-3-Clause */
/* path.c - see path.h */
#include "base/path.h"

#include <string.h>

/* Appends one component. Returns false if it or the whole path gets too long. */
static bool path_append(struct fi_path *out, const char *component, size_t length)
{
    if (length > FI_NAME_MAX || out->length + 1 + length >= sizeof out->text) {
        return false;
    }
    out->text[out->length++] = '/';
    memcpy(out->text + out->length, component, length);
    out->length += length;
    return true;
}

static bool append_all(struct fi_path *out, const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        bool dot = length == 1 && path[0] == '.';
        bool dotdot = length == 2 && path[0] == '.' && path[1] == '.';

        if (length == 0) {
            path++;
            continue;
        }
        out->has_dotdot |= dotdot;
        if (!dot && !path_append(out, path, length)) {
            return false;
        }
        path += length;
        out->must_be_directory = *path == '/' || dot || dotdot;
    }
    return true;
}

bool path_normalise(struct fi_path *out, const char *cwd, const char *path)
{
    out->length = 0;
    out->must_be_directory = false;
    out->has_dotdot = false;
    if (path[0] == '\0' || strnlen(path, FI_PATH_MAX) == FI_PATH_MAX) {
        return false;
    }
    if (path[0] != '/' && !append_all(out, cwd)) {
        return false;
    }
    if (!append_all(out, path)) {
        return false;
    }
    if (out->length == 0) {
        out->text[out->length++] = '/';
    }
    out->text[out->length] = '\0';
    return true;
}

static bool is_normal_component(const char *name, size_t n)
{
    bool only_dots = (n == 1 || n == 2) && memcmp(name, "..", n) == 0;

    return n > 0 && n <= FI_NAME_MAX && !only_dots;
}

bool path_is_normal(const char *path, size_t length)
{
    size_t at = 0;

    if (length == 0 || length >= FI_PATH_MAX || path[0] != '/' ||
        memchr(path, '\0', length) != NULL) {
        return false;
    }
    while (length > 1 && at < length) {
        const char *name = path + at + 1;
        const char *end = memchr(name, '/', length - at - 1);
        size_t n = end == NULL ? length - at - 1 : (size_t)(end - name);

        if (!is_normal_component(name, n)) {
            return false;
        }
        at += 1 + n;
    }
    return true;
}

bool path_fold(struct fi_path *p, path_is_directory *is_directory, void *context)
{
    char *at = p->text;

    while (p->has_dotdot && (at = strstr(at, "/..")) != NULL) {
        size_t before = (size_t)(at - p->text);
        size_t parent = path_parent_length(p->text, before);
        bool known;

        if (at[3] != '/' && at[3] != '\0') {
            at += 3;
            continue;
        }
        *at = '\0';
        known = before > 0 && is_directory(context, p->text, before);
        *at = '/';
        if (!known) {
            return false;
        }
        parent = parent == 1 ? 0 : parent;
        memmove(p->text + parent, at + 3, p->length - before - 3 + 1);
        p->length -= before + 3 - parent;
        at = p->text + parent;
    }
    p->has_dotdot = false;
    return p->length > 0;
}

bool path_any_directory(void *unused, const char *path, size_t length)
{
    (void)unused, (void)path, (void)length;
    return true;
}

bool path_has_prefix(const char *path, size_t path_length, const char *prefix, size_t prefix_length)
{
    if (prefix_length == 1) {
        return path_length > 0 && path[0] == '/';
    }
    return path_length >= prefix_length && memcmp(path, prefix, prefix_length) == 0 &&
           (path[prefix_length] == '\0' || path[prefix_length] == '/');
}

size_t path_parent_length(const char *path, size_t length)
{
    if (length <= 1) {
        return 0;
    }
    while (path[length - 1] != '/') {
        length--;
    }
    return length == 1 ? 1 : length - 1;
}

const char *path_name(const char *path, size_t length)
{
    size_t at = length;

    while (at > 0 && path[at - 1] != '/') {
        at--;
    }
    return path + at;
}

bool path_may_name_descriptor(const char *path)
{
    return path != NULL && path[0] == '/' &&
           ((strncmp(path, "/proc/", 6) == 0 && strstr(path, "/fd/") != NULL) ||
            strncmp(path, "/dev/fd/", 8) == 0);
}

bool path_ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path);
    size_t m = strlen(suffix);

    return n >= m && memcmp(path + n - m, suffix, m) == 0;
}

bool path_join(char *buf, size_t size, const char *directory, const char *name)
{
    size_t n = strlen(directory);
    size_t m = strlen(name);

    if (n + 1 + m >= size) {
        return false;
    }
    memmove(buf, directory, n);
    buf[n] = '/';
    memcpy(buf + n + 1, name, m + 1);
    return true;
}
