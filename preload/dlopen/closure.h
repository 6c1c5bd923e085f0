/*
 * closure.h - the root's answer to dlopen: which libraries, from where, in what order.
 *
 * Computed with libelf in libfastimport-elf.so (elf/closure.h), which is opened in a link-map
 * namespace of its own by library_prepare(), in the root only, before the program runs (so that no
 * look-up waits for ld.so's lock). Every file that the search opens becomes content of the node
 * cache; the result is a RECORD_LIBRARY.
 *
 * Key: the library's path; or, for a name without a slash, what library_key() makes of name and
 * caller (LIBRARY_BY_NAME).
 *
 * Payload: one item a library, in the order in which ld.so maps them (breadth-first), the requested
 * one first: a letter '@' + bits (enum library_bit), path NUL, SONAME NUL (may be empty), names by
 * which the closure asks for it, each NUL, NUL
 */
#ifndef FASTIMPORT_DLOPEN_CLOSURE_H
#define FASTIMPORT_DLOPEN_CLOSURE_H

#include "ldso/linkmap.h"
#include "fill/fill.h"
#include "policy/policy.h"

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

/* Opens the companion DSO beside this library. False, with one warning, if that fails: libraries
 * are then left to ld.so. */
bool closure_prepare(struct fill *fill, const struct policy *policy);

/* Computes and publishes the record for the query. With RECORD_PLANNED in flags the program has not
 * loaded anything yet: the closure is computed as if what was planned before it were loaded, so the
 * plan's libraries must come in order and from one thread at a time. */
const struct record *closure_lookup(struct node_cache *node, const struct fi_query *query,
                                    uint8_t flags);

/* Marks the files of a library as used (for the plan). */
void closure_mark_files(const struct segment *segment, const struct record *record);

/* The key "<caller's path>//<name>\n<n|d><U|R><its RUNPATH or RPATH>" ('n': DF_1_NODEFLIB; path ""
 * is the executable); returns its length, 0: it cannot be made. */
size_t closure_key(char *out, size_t size, const char *name, const struct linkmap_object *caller);

/* Is this such a key, of a caller whose path is normal and of a name without a slash? */
bool library_key_is_sound(const char *key, size_t length);

/* Steps through a payload; false at the end or when it makes no sense. */
bool closure_next_item(const struct record *record, size_t *at, struct library_item *item);

#endif
