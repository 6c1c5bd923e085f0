/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy.h - is this path ours? A pure function of a table of roots.
 *
 * The root rank makes the table (roots.h) and all ranks of the job use the same. Paths are normal
 * (base/path.h). The longest matching root decides; an excluded prefix always wins.
 *
 * Thread rules: a policy is immutable once loaded.
 */
#ifndef FASTIMPORT_POLICY_POLICY_H
#define FASTIMPORT_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

enum { POLICY_ROOTS = 64, POLICY_TEXT = 16384 };

enum root_scope {
    ROOT_ALL = 'A',     /* an environment: everything read-only */
    ROOT_IMPORT = 'I',  /* a script's directory, PYTHONPATH: only what an import can ask for */
    ROOT_LIBRARY = 'L', /* LD_LIBRARY_PATH: only shared libraries */
    ROOT_EXCLUDE = 'X'
};

enum verdict {
    NOT_OURS,
    OURS,
    OURS_IF_DIRECTORY, /* a package directory, or a flag file of the program? Its parent's listing
                          tells */
};

struct policy {
    size_t n_roots;
    struct policy_root {
        const char *path; /* into text */
        size_t length;
        enum root_scope scope;
    } roots[POLICY_ROOTS];
    char text[POLICY_TEXT]; /* as given to policy_load(), line ends replaced by NUL */
};

/* Loads "<scope><path>\n" lines; what does not fit or makes no sense is left out. */
void policy_load(struct policy *policy, const char *text, size_t length);

enum verdict policy_verdict(const struct policy *policy, const char *path, size_t length);

/* A quick first question, of the path as the program wrote it: could it be ours? Never false for a
 * path of ours that is absolute and has no "//", "." or ".." in front of the part that a root
 * covers. */
bool policy_maybe(const struct policy *policy, const char *path);

/* Is this directory neither below a root nor above one? Then no name in it is ours. */
bool policy_is_far(const struct policy *policy, const char *path, size_t length);

/* Is this, as the program wrote it, the normal path of a directory above a root, and not ours? */
bool policy_is_above(const struct policy *policy, const char *path);

/* Is a root, or the way to one, below this path, or this path itself? */
bool policy_is_way(const struct policy *policy, const char *path, size_t length);

#endif
