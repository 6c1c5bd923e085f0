/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.h - the index of a node cache: records that all processes of a node read without a lock.
 *
 * The index is one sparse file, mapped shared by the ranks of a node and their children. It is a
 * hash table of chains over an append-only arena. A writer fills in a record, marks it as complete,
 * and links it at the head of its chain by compare-and-swap: writers of all processes are
 * lock-free, readers wait-free. Nothing is changed (except RECORD_USED) or freed, so a pointer to a
 * record stays valid as long as the segment is mapped. A newer record for a key hides an older one.
 *
 * The arena is also the journal: records lie in it in the order of their allocation, and the root's
 * service walks it to find what to broadcast.
 *
 * Layout and versions: FORMAT.md. fallocate(2) reserves blocks before they are touched, so that a
 * full tmpfs gives an error code and not a SIGBUS. The file is opened for each reservation. A
 * descriptor that stayed open could be closed by the program, and its number would then refer to
 * one of the program's files.
 *
 * Thread rules: any thread of any process of the node, also in signal handlers and forked children;
 * segment_create(), segment_attach() and segment_detach() in one thread.
 */
#ifndef FASTIMPORT_CACHE_SEGMENT_H
#define FASTIMPORT_CACHE_SEGMENT_H

#include "base/path.h"
#include "cache/counters.h"
#include "cache/record.h"

enum {
    SEGMENT_VERSION = 9,
    SEGMENT_BUCKETS = 1 << 16,
    SEGMENT_CLAIMS = 4096,
    SEGMENT_RING = 128, /* requests that wait for the leader */
    SEGMENT_NAME = 288,
};

enum service_state { SERVICE_STARTING, SERVICE_RUNNING, SERVICE_ENDED, SERVICE_DEAD };

struct segment_request {
    _Atomic uint32_t sequence; /* state of the slot, see segment_requests.c */
    uint16_t length;
    uint8_t kind;
    uint64_t argument;
    char path[FI_PATH_MAX];
};

struct segment_header {
    _Atomic uint64_t magic; /* written last */
    uint32_t version;
    uint32_t header_size;
    uint64_t capacity; /* of the mapping */
    uint64_t nonce;    /* random; the same in all that belongs to this cache */
    uint32_t n_ranks;  /* ranks of this node */
    uint32_t node;     /* index of the node in the job */
    uint64_t mirror_device;

    _Atomic uint64_t tail;     /* end of the used part of the arena */
    _Atomic uint64_t reserved; /* end of the allocated blocks */
    _Atomic uint32_t full;

    _Atomic uint32_t generation; /* futex word: incremented when records have been published */
    _Atomic uint32_t waiters;
    _Atomic uint32_t doorbell; /* futex word: the leader's service thread sleeps on it */
    _Atomic uint32_t leader_sleeps;
    _Atomic uint32_t state;    /* enum service_state */
    _Atomic uint32_t bulk;     /* the plan's records are arriving */
    _Atomic uint64_t progress; /* blocks received; tells a slow service from a dead one */
    /* number of RECORD_STALE: with 0 nobody needs to look for them */
    _Atomic uint32_t invalidations;
    _Atomic uint32_t lost_changes; /* a change could not be recorded: answer nothing (changes.h) */
    _Atomic uint32_t leaving;      /* ranks of this node that have called exit or exec */
    _Atomic int32_t leader;        /* process id of the leader, in this PID namespace: */
    uint64_t leader_namespace;
    _Atomic uint64_t changes_above; /* counts possible changes above the roots */
    _Atomic uint32_t given_up;      /* ranks of this node that will not close the MPI session */
    _Atomic uint64_t content_bytes; /* in the mirror */
    _Atomic uint64_t content_peak;  /* the most of them that there ever were */
    /* CLOCK_MONOTONIC: when the node last heard from the root; 0: not yet */
    _Atomic int64_t heard_ns;
    /* after such a silence other nodes may have changed something (changes.h); 0: there are none */
    _Atomic int64_t silence_ns;
    _Atomic uint32_t silence_told; /* the user was told of such a silence */
    /* of room.h: */
    _Atomic uint64_t held;     /* bytes in the mirror, and promised ones */
    _Atomic uint64_t promised; /* bytes of files that are being written, not written yet */
    _Atomic uint64_t granted;  /* bytes that small files may take without a look at the limits */
    _Atomic int64_t granted_until; /* CLOCK_MONOTONIC, ns */
    uint32_t may_execute;          /* the file system is not mounted noexec */
    int32_t filters; /* system call filters of the creating process, for example a container's */

    _Atomic uint32_t ring_head;
    _Atomic uint32_t ring_tail;
    _Atomic uint64_t claims[SEGMENT_CLAIMS];
    _Atomic uint32_t claim_marks[SEGMENT_CLAIMS]; /* count the progress of the claims' holders */
    struct segment_request ring[SEGMENT_RING];
    _Atomic uint32_t buckets[SEGMENT_BUCKETS];
    struct fi_counters counters[]; /* n_ranks of them */
};

struct segment {
    struct segment_header *header;
    size_t mapped;
    char file[SEGMENT_NAME];
    dev_t device; /* identity of the file, by which it is recognised later */
    ino_t inode;
    /* in a process that attached: records that were found sound; NULL in the one that created the
     * segment */
    _Atomic uint32_t *checked;
};

/* Does this thread have more system call filters (seccomp(2)) than the creator of the segment had?
 * Then it must not make calls that the program itself does not make: they could kill it. */
bool segment_is_filtered(const struct segment *segment);

/* Will somebody answer a request (segment_ask())? While the service starts, requests wait for the
 * leader. */
bool segment_is_answered(const struct segment *segment);

/* Creates the file, which must not exist, with address space for `capacity` bytes; few blocks are
 * allocated at first. Returns 0 or -errno; on error nothing is left behind. */
int segment_create(struct segment *segment, const char *file, size_t capacity, uint32_t n_ranks,
                   uint64_t nonce);

/* Maps an existing segment and checks its version and nonce. Returns 0 or -errno (-EPROTO: not such
 * a segment). This process does not trust the contents: segment_find() checks each record once with
 * record_valid(), and treats a damaged chain as empty. */
int segment_attach(struct segment *segment, const char *file, uint64_t nonce);
/* Unmaps it. No record may be in use. */
void segment_detach(struct segment *segment);

/* The newest record for a key, or NULL: there is none, or it was given back. */
const struct record *segment_find(const struct segment *segment, const struct fi_query *query);
/* The newest record that was ever an answer, also if it has been given back since. */
const struct record *segment_find_past(const struct segment *segment, const struct fi_query *query);
/* Was an answer to this query ever given back? */
bool segment_was_given_back(const struct segment *segment, const struct fi_query *query);

/* Allocates a zeroed record for this path and payload, or returns NULL if the segment is full. The
 * caller fills in all but `next` and `size`, calls record_seal() and segment_publish(). If the
 * process is killed meanwhile, walkers know the length of the place and step over it. */
struct record *segment_allocate(struct segment *segment, size_t path_length, size_t payload_size);
/* Publishes a record. If the stream has abandoned it meanwhile, a copy at the tail is published
 * instead, so that every non-local record that can be found in the root's segment is also in the
 * stream, in the same order. A local record is published in place, since no walker sends it. */
void segment_publish(struct segment *segment, struct record *record);

/* Allocates, fills in, seals and publishes a record with this key, flags and payload of `size`
 * bytes. Returns it, or NULL if the segment is full. */
const struct record *segment_add(struct segment *segment, const struct fi_query *key, uint8_t flags,
                                 const void *payload, size_t size);

/* Marks a record as abandoned: walkers step over it from now on. Called by its writer, or by a
 * walker that has waited long enough. Returns false if the record is complete. */
bool segment_abandon(struct segment *segment, struct record *record);

/* Publishes a copy of a complete record, which came from the network or was built in private
 * memory. NULL if the segment is full. */
const struct record *segment_insert(struct segment *segment, const struct record *record);

/* Walks the arena: returns the record at *position and moves *position behind it; NULL if there is
 * no complete one yet. Start with segment_arena_start(). Steps over abandoned records. */
uint64_t segment_arena_start(const struct segment *segment);
const struct record *segment_walk(const struct segment *segment, uint64_t *position);
/* The incomplete record at which segment_walk() has stopped; NULL if that was the end. */
struct record *segment_unfinished(const struct segment *segment, uint64_t position);
/* As segment_walk(), but also steps over incomplete records: for a single look at everything. */
const struct record *segment_walk_whole(const struct segment *segment, uint64_t *position);

/* Wakes all that wait for records. Call it after a batch of publications. */
void segment_announce(struct segment *segment);
/* Sleeps until segment_announce() is called after `generation` was read, or until the time is over.
 * May wake early. */
void segment_wait(struct segment *segment, uint32_t generation, int64_t timeout_ns);

/* Single flight: true if the caller has claimed this key and is now the one to look it up. It must
 * call segment_unclaim(). segment_claimed(): does somebody hold the claim now? */
bool segment_claim(struct segment *segment, uint64_t hash);
bool segment_claimed(const struct segment *segment, uint64_t hash);
void segment_unclaim(struct segment *segment, uint64_t hash);
/* A mark that changes whenever the holder of a claim makes progress: changes it; reads it. */
void segment_move_claim(struct segment *segment, uint64_t hash);
uint32_t segment_claim_mark(const struct segment *segment, uint64_t hash);

/* The queue of requests from ranks to their leader: bounded, many producers, one consumer.
 * segment_ask() returns false if it is full, segment_next_request() if it is empty. */
bool segment_ask(struct segment *segment, const struct fi_query *query);
bool segment_next_request(struct segment *segment, struct fi_query *query, char path[FI_PATH_MAX]);

/* Wakes the leader's service thread; sleeps until the next request, or until the time is over. */
void segment_ring(struct segment *segment);
void segment_sleep(struct segment *segment, int64_t timeout_ns);

#endif
