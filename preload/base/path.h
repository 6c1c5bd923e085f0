/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path.h - operations on paths as strings: normalise, cut, join. Pure functions that make no system
 * call.
 *
 * Terms are those of path_resolution(7). A "normal" path is absolute and has no empty component, no
 * "." component and no trailing slash (except "/" itself). Normalising keeps "..", whose meaning
 * depends on whether the component before it is a symlink: only the file system can tell.
 */
#ifndef FASTIMPORT_BASE_PATH_H
#define FASTIMPORT_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum { FI_PATH_MAX = 4096, FI_NAME_MAX = 255 };

/* A normalised path, and what normalising has removed from it. */
struct fi_path {
    char text[FI_PATH_MAX]; /* normal form, NUL-terminated */
    size_t length;
    bool must_be_directory; /* it ended in "/", "/." or "/.." */
    bool has_dotdot;
};

/* Normalises `path`; a relative one is taken to start at `cwd`, which is absolute. Returns false if
 * the path is empty, longer than FI_PATH_MAX or has a component longer than FI_NAME_MAX: then the
 * caller lets the kernel report the error (ENOENT, ENAMETOOLONG). */
bool path_normalise(struct fi_path *out, const char *cwd, const char *path);

/* Is this path normal and free of ".."? Only then do all processes mean the same file by it. Looks
 * at `length` bytes, none of which may be NUL. */
bool path_is_normal(const char *path, size_t length);

/* Removes "x/.." wherever is_directory() says that `x` is a real directory. (Where `x` is a
 * symlink, "x/.." is the parent of its target.) Returns false as soon as is_directory() does: then
 * only the kernel can resolve the path. */
typedef bool path_is_directory(void *context, const char *path, size_t length);
bool path_fold(struct fi_path *path, path_is_directory *is_directory, void *context);
/* A path_is_directory that always says yes: ".." is removed without looking at the file system. */
path_is_directory path_any_directory;

/* Is `path` equal to `prefix` or below it? Both are normal. "/a" is not a prefix of "/ab". */
bool path_has_prefix(const char *path, size_t path_length, const char *prefix,
                     size_t prefix_length);

/* The length of the parent's path: "/a/b" -> 2, "/a" -> 1, "/" -> 0 (it has no parent). */
size_t path_parent_length(const char *path, size_t length);

/* The last component, as a pointer into `path`. */
const char *path_name(const char *path, size_t length);

/* May this be the name of an open descriptor: /proc/self/fd/3, /proc/PID/fd/3, /dev/fd/3? NULL is
 * allowed. */
bool path_may_name_descriptor(const char *path);

/* Does the string end with `suffix`? */
bool path_ends_with(const char *path, const char *suffix);

/* Writes "directory/name" into buf. Returns false if it does not fit. */
bool path_join(char *buf, size_t size, const char *directory, const char *name);

#endif
