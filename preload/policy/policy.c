/* SPDX-License-Identifier: BSD-3-Clause */
/* policy.c - see policy.h */
#include "policy/policy.h"

#include <string.h>

#include "base/path.h"

static bool scope_known(char c)
{
    return c == ROOT_ALL || c == ROOT_IMPORT || c == ROOT_LIBRARY || c == ROOT_EXCLUDE;
}

void policy_load(struct policy *p, const char *text, size_t length)
{
    char *at = p->text;

    p->n_roots = 0;
    if (length >= sizeof p->text) {
        length = sizeof p->text - 1;
    }
    memcpy(p->text, text, length);
    p->text[length] = '\0';
    while (*at != '\0' && p->n_roots < POLICY_ROOTS) {
        size_t n = strcspn(at, "\n");
        bool last = at[n] == '\0';

        at[n] = '\0';
        if (n > 1 && scope_known(at[0]) && at[1] == '/') {
            p->roots[p->n_roots++] = (struct policy_root){at + 1, n - 1, (enum root_scope)at[0]};
        }
        at += n + !last;
    }
}

/* The kernel's own file systems are never served, whatever a root says. */
static bool is_in_kernel_fs(const char *path, size_t length)
{
    return path_has_prefix(path, length, "/proc", 5) || path_has_prefix(path, length, "/sys", 4) ||
           path_has_prefix(path, length, "/dev", 4) || path_has_prefix(path, length, "/run", 4);
}

static bool is_shared_library(const char *name)
{
    for (const char *so = name; (so = strstr(so, ".so")) != NULL; so++) {
        if (so[3] == '\0' || so[3] == '.') {
            return true;
        }
    }
    return false;
}

/* Names that an import system asks for: modules, packages' metadata, path files, zipped packages.
 */
static bool is_import_name(const char *name)
{
    static const char *const suffixes[] = {".py",  ".pyc",       ".pth",      ".zip",
                                           ".egg", ".dist-info", ".egg-info", ".egg-link",
                                           ".whl", "__pycache__"};

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (path_ends_with(name, suffixes[i])) {
            return true;
        }
    }
    return is_shared_library(name);
}

static bool inside_metadata(const char *path)
{
    return strstr(path, ".dist-info/") != NULL || strstr(path, ".egg-info/") != NULL;
}

static enum verdict import_verdict(const struct policy_root *root, const char *path, size_t length)
{
    const char *name = path_name(path, length);

    if (length == root->length || is_import_name(name) || inside_metadata(path + root->length)) {
        return OURS;
    }
    return strchr(name, '.') == NULL ? OURS_IF_DIRECTORY : NOT_OURS;
}

enum verdict policy_verdict(const struct policy *p, const char *path, size_t length)
{
    const struct policy_root *best = NULL;

    for (size_t i = 0; i < p->n_roots; i++) {
        const struct policy_root *r = &p->roots[i];

        if (!path_has_prefix(path, length, r->path, r->length)) {
            continue;
        }
        if (r->scope == ROOT_EXCLUDE) {
            return NOT_OURS;
        }
        if (best == NULL || r->length > best->length ||
            (r->length == best->length && r->scope == ROOT_ALL)) {
            best = r;
        }
    }
    if (best == NULL || is_in_kernel_fs(path, length)) {
        return NOT_OURS;
    }
    switch (best->scope) {
    case ROOT_ALL:
        return OURS;
    case ROOT_LIBRARY:
        return length == best->length || is_shared_library(path_name(path, length)) ? OURS
                                                                                    : NOT_OURS;
    default:
        return import_verdict(best, path, length);
    }
}

bool policy_maybe(const struct policy *p, const char *path)
{
    for (size_t i = 0; i < p->n_roots; i++) {
        if (strncmp(path, p->roots[i].path, p->roots[i].length) == 0) {
            return true;
        }
    }
    return false;
}

bool policy_is_above(const struct policy *p, const char *path)
{
    for (size_t i = 0; i < p->n_roots; i++) {
        const struct policy_root *r = &p->roots[i];
        size_t n = 0;

        while (path[n] != '\0' && path[n] == r->path[n]) {
            n++;
        }
        if (path[n] == '\0' && n > 0 && n < r->length && (r->path[n] == '/' || n == 1) &&
            r->scope != ROOT_EXCLUDE) {
            return policy_verdict(p, path, n) != OURS;
        }
    }
    return false;
}

bool policy_leads_to_root(const struct policy *p, const char *path, size_t length)
{
    for (size_t i = 0; i < p->n_roots; i++) {
        if (p->roots[i].scope != ROOT_EXCLUDE &&
            path_has_prefix(p->roots[i].path, p->roots[i].length, path, length)) {
            return true;
        }
    }
    return false;
}

bool policy_is_unrelated(const struct policy *p, const char *path, size_t length)
{
    for (size_t i = 0; i < p->n_roots; i++) {
        if (p->roots[i].scope != ROOT_EXCLUDE &&
            path_has_prefix(path, length, p->roots[i].path, p->roots[i].length)) {
            return false;
        }
    }
    return !policy_leads_to_root(p, path, length);
}
