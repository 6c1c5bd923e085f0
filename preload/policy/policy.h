/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy.h - may this path be served? A pure function of the path and the table of roots.
 *
 * The root rank makes the table (roots.h), and all ranks of the job use the same one. All paths are
 * normal (base/path.h). The longest matching root decides, but an excluded directory always wins.
 *
 * Thread rules: a policy does not change once it is loaded, so any thread may read it.
 */
#ifndef FASTIMPORT_POLICY_POLICY_H
#define FASTIMPORT_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

enum { POLICY_ROOTS = 64, POLICY_TEXT = 16384 };

enum root_scope {
    ROOT_ALL = 'A',     /* an environment: everything below it */
    ROOT_IMPORT = 'I',  /* a script's directory, PYTHONPATH: only what an import can ask for */
    ROOT_LIBRARY = 'L', /* LD_LIBRARY_PATH: only shared libraries */
    ROOT_EXCLUDE = 'X'
};

enum verdict {
    NOT_OURS, /* the real call is made */
    OURS,     /* served */
    /* a package's directory, or a file of the program's? The parent's listing tells */
    OURS_IF_DIRECTORY,
};

struct policy {
    size_t n_roots;
    struct policy_root {
        const char *path; /* into `text` */
        size_t length;
        enum root_scope scope;
    } roots[POLICY_ROOTS];
    char text[POLICY_TEXT]; /* a copy of the text, with NUL for each newline */
};

/* Loads a text of lines "<scope><path>\n". Lines that do not fit or are malformed are left out. */
void policy_load(struct policy *policy, const char *text, size_t length);

enum verdict policy_verdict(const struct policy *policy, const char *path, size_t length);

/* A quick first check of a path as the program wrote it: could policy_verdict() say OURS? True for
 * each such path that is absolute and has no "//", "." or ".." in the part that the root covers. */
bool policy_maybe(const struct policy *policy, const char *path);

/* Is this directory neither a root, nor below nor above one? Then no name in it can be OURS. */
bool policy_is_unrelated(const struct policy *policy, const char *path, size_t length);

/* Is this path, as the program wrote it, the normal one of a directory above a root, and not OURS
 * itself? */
bool policy_is_above(const struct policy *policy, const char *path);

/* Is this path a root, or above one? */
bool policy_leads_to_root(const struct policy *policy, const char *path, size_t length);

#endif
