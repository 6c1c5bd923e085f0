/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.h - what the node cache holds: one immutable answer of the file system.
 *
 * A record is position independent: it stands in the index segment and travels over MPI byte for
 * byte. Layout and versions: FORMAT.md. The key is (kind, argument, path); the path is normal
 * (base/path.h).
 *
 * Reading a record that another process wrote: check it once with record_valid(), then use the
 * accessors.
 */
#ifndef FASTIMPORT_CACHE_RECORD_H
#define FASTIMPORT_CACHE_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum record_kind {
    RECORD_STAT = 1, /* lstat and stat of a path: struct record_stat, then the link's target */
    RECORD_ACCESS,   /* access(path, argument): error only; argument = mode | RECORD_EFFECTIVE */
    RECORD_STATX,    /* statx: argument = flags << 32 | mask: struct statx */
    RECORD_LIST,     /* a directory: struct record_list and its entries */
    RECORD_REALPATH, /* realpath(3): the result */
    RECORD_CONTENT,  /* a regular file: struct record_content; its bytes are in the mirror. argument
                      * 0: all of them;  RECORD_MAPPED: those that ld.so maps, up to the end of the
                      * last PT_LOAD (no debug sections) */
    RECORD_LIBRARY,  /* dlopen: what to load before it, see fill/library.h */
    RECORD_STALE,  /* this node wrote here: never answer for it; argument: a key of change.h. Local
                    */
    RECORD_MIRROR, /* inode of a mirror file -> struct stat of the original; path = 8 bytes. Local
                    */
    RECORD_ORIGIN, /* (st_dev, st_ino) of an original, 16 bytes -> the path whose mirror file holds
                    * it; argument as with RECORD_CONTENT. Local */
    RECORD_ROOTS,  /* the table of roots as text (policy.h); path "/". Local */
    RECORD_UNSERVED, /* a library that was left to ld.so (left.h): why, as text. Local */
    RECORD_LIVE, /* a directory below which the job has changed something: its content is no part
                    * of the snapshot any more, on no node. argument: its inode */
    RECORD_EVERYWHERE, /* all nodes have the RECORD_LIVE of this path */
    RECORD_KINDS
};

enum { RECORD_MAPPED = 1 };

/* RECORD_LIBRARY's argument. */
enum library_question {
    LIBRARY_FROM_START = 1, /* as if nothing had been loaded since the program started: for a rank
                             * that has not loaded what the root has */
    LIBRARY_BY_NAME = 2,    /* the key is no path: library_key() in fill/library.h */
};

enum { RECORD_EFFECTIVE = 8 }; /* access: with the effective ids */

enum record_flag {
    RECORD_LOCAL = 1,       /* of this node only: never sent to others */
    RECORD_BY_REQUEST = 2,  /* a rank asked for it; the root's own program did not */
    RECORD_UNAVAILABLE = 4, /* the cache will not answer this: make the real call. Of a content,
                               `error` may say why: EFBIG, larger than FASTIMPORT_MAX_FILE; ENOSPC
                               and the like, the mirror cannot keep it */
    RECORD_TREE = 8,        /* with BYPASS: all below, too */
    RECORD_USED =
        16, /* somebody on this node asked for it; the only thing in a record that changes */
    RECORD_PLANNED = 32,  /* looked up because the plan said so */
    RECORD_SEARCHED = 64, /* looked up on the way to something else: no reason to plan it */
};

/* The low bits of a record's `size`, which is a multiple of 8. */
enum record_state {
    RECORD_WHOLE = 0,
    RECORD_UNFINISHED = 1, /* it is being written, or its writer was killed */
    RECORD_ABANDONED = 2,
    RECORD_STATES = 7,
};

struct record {
    _Atomic uint32_t
        next; /* chain of its bucket: offset / 8 in the segment; not part of the key or the wire */
    _Atomic uint32_t size; /* of the whole record; while it is not whole, | enum record_state */
    uint64_t hash;
    uint64_t argument;
    uint32_t payload_size;
    int32_t error; /* errno of the answer; 0: success, see the payload */
    uint16_t path_length;
    uint8_t kind;
    uint8_t flags;
    uint32_t check; /* of key, error, flags, path and payload: see record_seal() */
    char path[];    /* NUL-terminated, padded to 8; then the payload */
};

struct record_stat {
    struct stat link;   /* lstat */
    struct stat target; /* stat, when link is a symlink and stat_error is 0 */
    int32_t stat_error; /* errno of stat through a symlink */
    uint32_t target_length;
    char target_path[]; /* readlink's answer, not NUL-terminated */
};

struct record_content {
    struct stat st;  /* fstat of the original */
    uint64_t size;   /* bytes in the mirror; what is missing to st_size is a hole */
    uint8_t same_as; /* a hard link of a file that was sent before: `first` names it */
    char first[];    /* normal path, NUL-terminated */
};

struct record_list_entry {
    uint64_t inode;
    uint8_t type; /* d_type */
    uint8_t length;
    char name[]; /* NUL-terminated; entries are padded to 8 */
};

struct record_list {
    uint32_t n_entries;
    uint32_t n_slots; /* a power of two */
    uint32_t
        slots[]; /* open addressing by fi_hash(name): offset of the entry in the payload, 0 empty */
};

static inline uint32_t record_round8(size_t n)
{
    return (uint32_t)((n + 7) & ~(size_t)7);
}

static inline uint32_t record_size_for(size_t path_length, size_t payload_size)
{
    return (uint32_t)sizeof(struct record) + record_round8(path_length + 1) +
           record_round8(payload_size);
}

/* RECORD_USED may come at any time, from any process; the others are as they were published. */
static inline uint8_t record_flags(const struct record *r)
{
    return __atomic_load_n(&r->flags, __ATOMIC_RELAXED);
}

/* Writes only once, so that a shared cache line stays shared. */
static inline void record_mark_used(const struct record *r)
{
    if ((record_flags(r) & RECORD_USED) == 0) {
        __atomic_fetch_or((uint8_t *)&r->flags, RECORD_USED, __ATOMIC_RELAXED);
    }
}

static inline const void *record_payload(const struct record *r)
{
    return r->path + record_round8((size_t)r->path_length + 1);
}

/* What is looked up or asked for: a key, its hash computed once. `path` is borrowed. */
struct fi_query {
    enum record_kind kind;
    uint64_t argument;
    const char *path; /* normal, NUL-terminated */
    size_t length;
    uint64_t hash;
};

uint64_t record_hash(enum record_kind kind, uint64_t argument, const char *path,
                     size_t path_length);

static inline struct fi_query query_make(enum record_kind kind, uint64_t argument, const char *path,
                                         size_t length)
{
    return (struct fi_query){kind, argument, path, length,
                             record_hash(kind, argument, path, length)};
}

/* Is this a whole, consistent record of at most `room` bytes? Checks every length and the checksum.
 */
bool record_valid(const struct record *r, size_t room);

/* Sets hash, sizes and checksum, once path and payload stand. `size` itself is published by the
 * segment. */
void record_seal(struct record *r);

/* Looks a name up in a listing; NULL: not there. */
const struct record_list_entry *record_list_find(const struct record *list, const char *name);

/* The entry after `entry` (NULL: the first); NULL at the end. */
const struct record_list_entry *record_list_next(const struct record *list,
                                                 const struct record_list_entry *entry);

#endif
