/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path.h - paths as strings: absolute, normalised, cut and joined. Pure functions; no file system
 * is asked.
 *
 * Names follow path_resolution(7). "Normal" here: absolute, no empty and no "." component, no
 * trailing slash (but for "/" itself). ".." is kept: what it means depends on whether the component
 * before it is a symlink, which only the caller can find out.
 */
#ifndef FASTIMPORT_BASE_PATH_H
#define FASTIMPORT_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum { FI_PATH_MAX = 4096, FI_NAME_MAX = 255 };

/* What a caller must know about a path beyond its normal form. */
struct fi_path {
    char text[FI_PATH_MAX]; /* normal form, NUL-terminated */
    size_t length;
    bool must_be_directory; /* it ended in "/", "/." or "/.." */
    bool has_dotdot;
};

/* Makes the normal form of `path`; a relative one is taken from `cwd` (absolute). False when it is
 * empty, too long (ENAMETOOLONG is the kernel's to say), or has a component over FI_NAME_MAX. */
bool path_normalise(struct fi_path *out, const char *cwd, const char *path);

/* Is it normal, without "..", and so the same file to everybody who looks? Of `length` bytes, none
 * of them NUL. */
bool path_is_normal(const char *path, size_t length);

/* Takes "x/.." out wherever `x` is a real directory by the caller's knowledge (then it means x's
 * parent; behind a symlink it does not). False: somewhere it is not, or not known, and only the
 * kernel can say. */
typedef bool path_is_directory(void *context, const char *path, size_t length);
bool path_fold(struct fi_path *path, path_is_directory *is_directory, void *context);
/* Says yes: ".." is taken by the word. */
path_is_directory path_any_directory;

/* Is `path` equal to `prefix` or below it? Both normal; "/a" is no prefix of "/ab". */
bool path_has_prefix(const char *path, size_t path_length, const char *prefix,
                     size_t prefix_length);

/* Length of the parent's path: "/a/b" -> 2, "/a" -> 1, "/" -> 0 (it has none). */
size_t path_parent_length(const char *path, size_t length);

/* The last component, inside `path`. */
const char *path_name(const char *path, size_t length);

bool path_ends_with(const char *path, const char *suffix);

/* Writes "directory/name" into buf; false if it does not fit. */
bool path_join(char *buf, size_t size, const char *directory, const char *name);

#endif
