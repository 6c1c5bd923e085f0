/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters.h - what one rank has done: the calls of each family that it intercepted and served, and
 * the cost of the others.
 *
 * Each rank has one block in the index segment of its node, so that the leader can report for ranks
 * that have exited. Forked children add to the block of their rank.
 *
 * Thread rules: any thread; all fields are atomic and accessed with relaxed order. Times are
 * nanoseconds.
 */
#ifndef FASTIMPORT_CACHE_COUNTERS_H
#define FASTIMPORT_CACHE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

enum call_family {
    CALL_OPEN,
    CALL_STAT,
    CALL_ACCESS,
    CALL_PATH,
    CALL_DIR,
    CALL_DL,
    CALL_WRITE,
    CALL_FAMILIES
};

/* Why a call for a path below the roots went to the real file system. */
enum fallback_reason {
    FALLBACK_TIMEOUT,     /* no answer within FASTIMPORT_WAIT_MS */
    FALLBACK_UNAVAILABLE, /* too large, not a regular file, unreadable, no room in the node cache */
    FALLBACK_STALE,       /* this node has changed it */
    FALLBACK_ENDED,       /* the service had ended and the record was not in the cache */
    FALLBACK_NO_MEMORY,   /* the index segment was full */
    FALLBACK_LIBRARY,     /* a library that could not be loaded from the mirror */
    FALLBACK_REASONS
};

struct fi_counters {
    _Atomic uint64_t intercepted[CALL_FAMILIES]; /* for paths below the roots */
    _Atomic uint64_t served[CALL_FAMILIES];      /* answered from the node cache */
    _Atomic uint64_t fallbacks[FALLBACK_REASONS];
    _Atomic uint64_t lookups; /* look-ups that this process made in the real file system */
    _Atomic uint64_t files_read;
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t files_not_kept; /* no room for them in the node cache (cache/room.h) */
    _Atomic uint64_t bytes_not_kept;
    _Atomic uint64_t files_given_back; /* by the node (cache/give_back.h) */
    _Atomic uint64_t bytes_given_back;
    _Atomic uint64_t requests;      /* sent to the root */
    _Atomic uint64_t requests_seen; /* received; counted by the root only */
    _Atomic uint64_t bytes_broadcast;
    _Atomic uint64_t blocks_broadcast;
    _Atomic uint64_t init_ns;    /* spent in the constructor */
    _Atomic uint64_t waiting_ns; /* spent waiting for records from the root */
    _Atomic uint64_t fs_ns;      /* spent in look-ups and reads of the real file system */
    _Atomic int32_t rank;
    _Atomic int32_t joined; /* 1: this rank takes part in the service */
};

extern struct fi_counters *fi_count; /* never NULL: a private block until a segment is attached */

static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

extern const char *const call_family_names[CALL_FAMILIES];
extern const char *const fallback_names[FALLBACK_REASONS];

#endif
