/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.h - one immutable answer of the file system, the unit of the node cache.
 *
 * A record is position independent: it lies in the index segment and travels over MPI byte for
 * byte. Layout and versions: FORMAT.md. The key is (kind, argument, path); the path is normal
 * (base/path.h).
 *
 * Before a process reads a record that another process wrote, it checks it once with
 * record_valid(). Then it uses the accessors. Pure functions, but for record_seal() and
 * record_mark_used(). Thread rules: any thread.
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
    RECORD_ACCESS,   /* access(path, argument): `error` only; argument = mode | RECORD_EFFECTIVE */
    RECORD_STATX,    /* statx: argument = flags << 32 | mask: struct statx */
    RECORD_LIST,     /* a directory's names: struct record_list and its entries */
    RECORD_REALPATH, /* realpath(3): the result */
    /* a regular file: struct record_content; its bytes are in the mirror. Argument 0: all of
     * them; RECORD_MAPPED: those that ld.so maps, up to the end of the last PT_LOAD (no debug
     * sections), or the parts that the extents name (extents.h) */
    RECORD_CONTENT,
    RECORD_LIBRARY, /* dlopen: the library and what to load with it (library_record.h) */
    /* a process of this node has changed it: do not answer for it; argument: enum change_key
     * (changes.h). Local */
    RECORD_STALE,
    /* maps the inode of a mirror file (path = 8 bytes) to the struct stat of its original. Local */
    RECORD_MIRROR,
    /* maps (st_dev, st_ino) of an original (path = 16 bytes) to the path whose mirror file holds
     * it; argument as for RECORD_CONTENT. Local */
    RECORD_ORIGIN,
    RECORD_ROOTS,    /* the table of roots as text (policy/policy.h); path "/". Local */
    RECORD_UNSERVED, /* a library that was left to ld.so, and why, as text (unserved.h). Local */
    /* a directory below which the job has changed something, or an object with several names that it
     * has changed: no node answers for it, nor for what is in it, any more. argument: its inode */
    RECORD_LIVE,
    /* all nodes have the RECORD_LIVE of this path; argument: its inode, or 0 for any */
    RECORD_EVERYWHERE,
    RECORD_KINDS
};

enum { RECORD_MAPPED = 1 };

/* The argument of a RECORD_LIBRARY. */
enum library_question {
    /* as if nothing had been loaded since the program started: for a rank that has not loaded what
     * the root has */
    LIBRARY_FROM_START = 1,
    LIBRARY_BY_NAME = 2, /* the key is no path: library_record_key() */
};

enum { RECORD_EFFECTIVE = 8 }; /* access: with the effective user and group */

enum record_flag {
    RECORD_LOCAL = 1,      /* of this node only: never sent to others */
    RECORD_BY_REQUEST = 2, /* a rank asked for it; the root's own program did not */
    /* the cache cannot answer this: make the real call. In a RECORD_CONTENT `error` may say why:
     * EFBIG, larger than FASTIMPORT_MAX_FILE; ENOSPC, ENOBUFS: no room (room.h); others: the mirror
     * could not store it */
    RECORD_UNAVAILABLE = 4,
    RECORD_TREE = 8,      /* in a RECORD_STALE: all below it is stale, too */
    RECORD_USED = 16,     /* a process of this node has used it; set after publication */
    RECORD_PLANNED = 32,  /* looked up because the plan lists it */
    RECORD_SEARCHED = 64, /* looked up during a search for something else: do not plan it */
    /* the answer before it was given back to save memory (give_back.h): there is none now. Such a
     * record has RECORD_UNAVAILABLE, too */
    RECORD_GIVEN_BACK = 128,
};

/* The low bits of a record's `size`, which are free because sizes are multiples of 8. */
enum record_state {
    RECORD_WHOLE = 0,
    RECORD_UNFINISHED = 1, /* its writer is still writing, or was killed */
    RECORD_ABANDONED = 2,
    RECORD_STATES = 7,
};

struct record {
    _Atomic uint32_t next; /* next in its bucket: offset / 8 in the segment; local to the segment */
    _Atomic uint32_t size; /* bytes of the whole record | enum record_state */
    uint64_t hash;
    uint64_t argument;
    uint32_t payload_size;
    int32_t error; /* the call's errno; 0: success, the payload holds the answer */
    uint16_t path_length;
    uint8_t kind;
    uint8_t flags;
    uint32_t check; /* checksum, see record_seal() */
    char path[];    /* NUL-terminated, padded to 8 bytes; then the payload */
};

struct record_stat {
    struct stat link;   /* lstat */
    struct stat target; /* stat, if `link` is a symlink and stat_error is 0 */
    int32_t stat_error; /* errno of stat(2), if `link` is a symlink */
    uint32_t target_length;
    char target_path[]; /* result of readlink(2), not NUL-terminated */
};

struct record_content {
    struct stat st;     /* fstat of the original */
    uint64_t size;      /* bytes in the mirror; the rest up to st_size is a hole */
    uint32_t n_extents; /* 0: they are the first bytes of the file; else extents.h says which */
    uint8_t same_as;    /* 1: a hard link of a file that was sent before, named `first` */
    char first[];       /* normal path, NUL-terminated and padded to 8; then the extents */
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
    /* hash table with open addressing by fi_hash(name): offset of the entry in the payload; 0:
     * empty */
    uint32_t slots[];
};

static inline uint32_t record_round8(size_t n)
{
    return (uint32_t)((n + 7) & ~(size_t)7);
}

/* Where the extents lie in a struct record_content. */
static inline size_t record_extents_offset(size_t first_length)
{
    return record_round8(offsetof(struct record_content, first) + first_length + 1);
}

static inline uint32_t record_size_for(size_t path_length, size_t payload_size)
{
    return (uint32_t)sizeof(struct record) + record_round8(path_length + 1) +
           record_round8(payload_size);
}

/* Reads the flags atomically: any process may set RECORD_USED at any time. The other flags do not
 * change after publication. */
static inline uint8_t record_flags(const struct record *r)
{
    return __atomic_load_n(&r->flags, __ATOMIC_RELAXED);
}

/* Sets RECORD_USED, but writes only the first time, so that the cache line stays shared. */
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

/* A key to look up, with its hash. `path` is borrowed. */
struct fi_query {
    enum record_kind kind;
    uint64_t argument;
    const char *path; /* normal, NUL-terminated */
    size_t length;
    uint64_t hash;
};

/* The hash of a key. */
uint64_t record_hash(enum record_kind kind, uint64_t argument, const char *path,
                     size_t path_length);

static inline struct fi_query query_make(enum record_kind kind, uint64_t argument, const char *path,
                                         size_t length)
{
    return (struct fi_query){kind, argument, path, length,
                             record_hash(kind, argument, path, length)};
}

/* Is this a complete, consistent record of at most `room` bytes? Checks all lengths and the
 * checksum. */
bool record_valid(const struct record *r, size_t room);

/* Sets hash and checksum. Call it when path, payload and all other fields are final;
 * segment_publish() then marks the record as complete. */
void record_seal(struct record *r);

/* Finds a name in a listing; NULL if the listing does not have it. */
const struct record_list_entry *record_list_find(const struct record *list, const char *name);

/* Does the listing show that this name does not exist? Not for names that begin with a dot: some
 * file servers hide directories such as .snapshot from listings. */
bool record_list_lacks(const struct record *list, const char *name);

/* The entry behind `entry` (NULL: the first one); NULL at the end. */
const struct record_list_entry *record_list_next(const struct record *list,
                                                 const struct record_list_entry *entry);

#endif
