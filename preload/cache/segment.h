/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.h - the index of a node cache: records that all processes of the node read without a
 * lock.
 *
 * One sparse file, mapped shared by the ranks of a node and their children. A hash table of chains
 * over an append-only arena: a record is written, made whole, then linked at the head of its chain
 * by compare-and-swap (lock-free for writers of any process, wait-free for readers). Nothing is
 * ever changed (but for RECORD_USED) or freed, so a pointer to a record is good for as long as the
 * segment is mapped. A newer record for a key hides an older one.
 *
 * The arena is at the same time the journal: records lie in it in the order of their allocation,
 * and the root's service walks it to see what to broadcast.
 *
 * Layout and versions: FORMAT.md. Blocks are reserved with fallocate(2) before they are touched, so
 * a full tmpfs is an error code here and not a SIGBUS. The file is opened for that each time: no
 * descriptor stays open, which the program might close, and use its number for a file of its own.
 */
#ifndef FASTIMPORT_CACHE_SEGMENT_H
#define FASTIMPORT_CACHE_SEGMENT_H

#include "cache/counters.h"
#include "cache/record.h"

enum {
    SEGMENT_VERSION = 6,
    SEGMENT_BUCKETS = 1 << 16,
    SEGMENT_CLAIMS = 4096,
    SEGMENT_RING = 128, /* requests waiting for the leader */
    SEGMENT_NAME = 288,
};

enum service_state { SERVICE_STARTING, SERVICE_RUNNING, SERVICE_ENDED, SERVICE_DEAD };

struct segment_request {
    _Atomic uint32_t sequence; /* slot protocol: see segment.c */
    uint16_t length;
    uint8_t kind;
    uint64_t argument;
    char path[4096];
};

struct segment_header {
    _Atomic uint64_t magic; /* written last */
    uint32_t version;
    uint32_t header_size;
    uint64_t capacity; /* of the mapping */
    uint64_t nonce;    /* random; the same in all that belongs to this cache */
    uint32_t n_ranks;  /* of this node */
    uint32_t node;     /* index of the node in the job */
    uint64_t mirror_device;

    _Atomic uint64_t tail;     /* end of the arena in use */
    _Atomic uint64_t reserved; /* end of the blocks that are allocated */
    _Atomic uint32_t full;

    _Atomic uint32_t generation; /* futex: bumped when records were published */
    _Atomic uint32_t waiters;
    _Atomic uint32_t doorbell; /* futex: the leader's service sleeps on it */
    _Atomic uint32_t leader_sleeps;
    _Atomic uint32_t state;         /* enum service_state */
    _Atomic uint32_t bulk;          /* the plan's records are on their way */
    _Atomic uint32_t announces;     /* there are other nodes: changes are announced to them */
    _Atomic uint64_t progress;      /* blocks received; tells a slow service from a dead one */
    _Atomic uint32_t invalidations; /* number of RECORD_BYPASS: 0 spares the look-up */
    _Atomic uint32_t lost_changes;  /* a change could not be noted: answer nothing (change.h) */
    _Atomic uint32_t leaving; /* ranks of this node that are at their exit, or have called exec */
    _Atomic int32_t leader;   /* its process id, in the namespace of this inode: */
    uint64_t leader_namespace;
    _Atomic uint64_t changes_above; /* how often something may have changed above the roots */
    _Atomic uint32_t given_up;      /* ranks of this node that do not close the session */
    _Atomic uint64_t content_bytes; /* in the mirror */
    uint32_t may_execute;           /* the file system is not mounted noexec */
    int32_t filters; /* of system calls, that its maker had: a container's, perhaps */

    _Atomic uint32_t ring_head;
    _Atomic uint32_t ring_tail;
    _Atomic uint64_t claims[SEGMENT_CLAIMS];
    struct segment_request ring[SEGMENT_RING];
    _Atomic uint32_t buckets[SEGMENT_BUCKETS];
    struct fi_counters counters[]; /* n_ranks */
};

struct segment {
    struct segment_header *header;
    size_t mapped;
    char file[SEGMENT_NAME];
    dev_t device; /* of the file, by which it is known again */
    ino_t inode;
    _Atomic uint32_t *checked; /* in a process that attached: records found sound; NULL where the
                                  segment was made */
};

/* Has this thread more filters of system calls than the maker of the segment (seccomp(2))? Then it
 * does what the program does, and nothing else: it might be killed. */
bool segment_is_filtered(const struct segment *segment);

/* Creates the file (which must not exist) with room for `capacity` bytes, of which little is
 * allocated at first. 0 or -errno; on error nothing is left behind. */
int segment_create(struct segment *segment, const char *file, size_t capacity, uint32_t n_ranks,
                   uint64_t nonce);

/* Maps an existing one and checks that it is a segment of this version, of `nonce`. 0 or -errno
 * (EPROTO: it is not). From then on this process believes nothing unseen: segment_find() examines
 * each record once (record_valid()), and takes a damaged chain for an empty one. */
int segment_attach(struct segment *segment, const char *file, uint64_t nonce);
void segment_detach(struct segment *segment);

/* The newest record for a key, or NULL. */
const struct record *segment_find(const struct segment *segment, const struct fi_query *query);

/* Room for a record of this size, zeroed, or NULL when the segment is full. The caller fills it in
 * (all but `next` and `size`) and calls segment_publish(). Killed at any point, it leaves room that
 * a walker knows the length of.
 */
struct record *segment_allocate(struct segment *segment, size_t path_length, size_t payload_size);
/* A record that was abandoned meanwhile is published as a copy, behind what has been walked over;
 * a local one, of which no walker sends anything, where it is. So whatever is found in the root's
 * segment and is not local is in the stream, and in that order. */
void segment_publish(struct segment *segment, struct record *record);

/* Walkers step over it from now on. By its maker, or by one who has waited for it long enough.
 * False: it is whole. */
bool segment_abandon(struct segment *segment, struct record *record);

/* Copies a finished record (from the wire, or built in private memory) into the segment and
 * publishes it. */
const struct record *segment_insert(struct segment *segment, const struct record *record);

/* Walks the arena: the record at *position, which is moved on behind it; NULL when there is no
 * whole one yet. Start with segment_arena_start(). Abandoned records are stepped over. */
uint64_t segment_arena_start(const struct segment *segment);
const struct record *segment_walk(const struct segment *segment, uint64_t *position);
/* The record that is not whole and at which segment_walk() has stopped; NULL: it was the end. */
struct record *segment_unfinished(const struct segment *segment, uint64_t position);
/* As segment_walk(), for one look at all there is: steps over what is not whole, too. */
const struct record *segment_walk_whole(const struct segment *segment, uint64_t *position);

/* Wakes those that wait for records. Call after a batch of publications. */
void segment_announce(struct segment *segment);
/* Sleeps until something is announced after `generation` was read, or the time is over. */
void segment_wait(struct segment *segment, uint32_t generation, int64_t timeout_ns);

/* Single flight: true if the caller is now the one to get this key; it must give the claim back. */
bool segment_claim(struct segment *segment, uint64_t hash);
bool segment_claimed(const struct segment *segment, uint64_t hash);
void segment_unclaim(struct segment *segment, uint64_t hash);

/* Requests from ranks to their leader: a bounded queue, many producers, one consumer. False: full,
 * or empty. */
bool segment_ask(struct segment *segment, const struct fi_query *query);
bool segment_next_request(struct segment *segment, struct fi_query *query, char path[4096]);

/* The leader's bell. */
void segment_ring(struct segment *segment);
void segment_sleep(struct segment *segment, int64_t timeout_ns);

#endif
