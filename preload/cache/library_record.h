/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library_record.h - the format of a RECORD_LIBRARY: the libraries that one dlopen brings in, in
 * the order in which ld.so maps them (breadth-first), the requested one first.
 *
 * Key: the path of the library. With LIBRARY_BY_NAME it is the result of library_record_key() for a
 * name without a slash and its caller.
 *
 * Payload: one item for each library, which consists of one letter ('@' + bits of enum
 * library_bit), the path and a NUL, the SONAME (or nothing) and a NUL, the names by which the
 * closure asks for it, each with a NUL, and a final NUL.
 *
 * Pure functions.
 */
#ifndef FASTIMPORT_CACHE_LIBRARY_RECORD_H
#define FASTIMPORT_CACHE_LIBRARY_RECORD_H

#include "cache/record.h"

enum library_bit {
    LIBRARY_LOADED = 1, /* the root had loaded it already */
    /* another library needs it by a path (DT_NEEDED with a slash), which ld.so will open as it
     * is */
    LIBRARY_BY_PATH = 2,
    LIBRARY_OURS = 4, /* the mirror has its contents; otherwise it is opened at its own path */
};

/* One item. The pointers point into the payload. */
struct library_item {
    unsigned bits;
    const char *path;
    const char *soname;
    const char *names; /* each NUL-terminated; an empty string ends the list */
};

/* The caller of dlopen, which decides where ld.so searches for a library by name. */
struct library_caller {
    const char *name; /* path of the calling object; "" for the executable */
    const char *rpath, *runpath;
    bool nodeflib; /* DF_1_NODEFLIB */
};

/* Makes the key "<caller's path>//<name>\n<n|d><U|R><caller's RUNPATH or RPATH>": 'n' stands for
 * DF_1_NODEFLIB, 'd' for none; 'U' for RUNPATH, 'R' for RPATH; the path "" is the executable.
 * Returns its length, or 0 if no key can be made. */
size_t library_record_key(char *out, size_t size, const char *name,
                          const struct library_caller *caller);

/* Could library_record_key() have made this key, for a name without a slash? The caller's path is
 * absolute, but maybe not normal: ld.so names a library by the RPATH that has led to it, such as
 * $ORIGIN/../lib. It allows no more than the RPATH in the key does. */
bool library_record_key_is_sound(const char *key, size_t length);

/* Reads the item at *at and moves *at behind it. Start with 0. Returns false at the end, or if the
 * payload is malformed. */
bool library_record_next(const struct record *record, size_t *at, struct library_item *item);

#endif
