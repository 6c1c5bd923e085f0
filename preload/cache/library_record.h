/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library_record.h - what a RECORD_LIBRARY holds: the libraries that one dlopen brings in, in the
 * order in which ld.so maps them (breadth-first), the requested one first.
 *
 * Key: the library's path; or, with LIBRARY_BY_NAME, what library_record_key() makes of a name
 * without a slash and its caller.
 *
 * Payload: one item a library: a letter '@' + bits (enum library_bit), path NUL, SONAME NUL (may be
 * empty), names by which the closure asks for it, each NUL, NUL.
 *
 * Pure functions.
 */
#ifndef FASTIMPORT_CACHE_LIBRARY_RECORD_H
#define FASTIMPORT_CACHE_LIBRARY_RECORD_H

#include "cache/record.h"

enum library_bit {
    LIBRARY_LOADED = 1, /* the root had it loaded already */
    LIBRARY_BY_PATH =
        2,            /* one of them needs it by a path as it stands: ld.so will open that path */
    LIBRARY_OURS = 4, /* its content is in the mirror; else it is opened where it is */
};

/* One item, pointers into the payload. */
struct library_item {
    unsigned bits;
    const char *path;
    const char *soname;
    const char *names; /* several, each NUL-terminated, an empty one at the end */
};

/* Who calls dlopen: what decides where ld.so searches for a bare name. */
struct library_caller {
    const char *name; /* its path; "" for the executable */
    const char *rpath, *runpath;
    bool nodeflib; /* DF_1_NODEFLIB */
};

/* The key "<caller's path>//<name>\n<n|d><U|R><its RUNPATH or RPATH>" ('n': DF_1_NODEFLIB; path ""
 * is the executable); returns its length, 0: it cannot be made. */
size_t library_record_key(char *out, size_t size, const char *name,
                          const struct library_caller *caller);

/* Is this such a key, of a caller whose path is normal and of a name without a slash? */
bool library_record_key_is_sound(const char *key, size_t length);

/* Steps through a payload; false at the end or when it makes no sense. */
bool library_record_next(const struct record *record, size_t *at, struct library_item *item);

#endif
