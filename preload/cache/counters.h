/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters.h - what one process did: how many calls of each family were seen and served, and what
 * the rest cost.
 *
 * One block a rank, in the node's index segment, so that the leader can report for ranks that are
 * gone. Forked children add to the block of their rank. All fields are atomic and
 * relaxed. Times in ns.
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

/* Why a call on a path of ours went to the real file system. */
enum fallback_reason {
    FALLBACK_TIMEOUT,     /* no answer within FASTIMPORT_WAIT_MS */
    FALLBACK_UNAVAILABLE, /* too large, not a regular file, unreadable, no room in the node cache */
    FALLBACK_STALE,       /* this node wrote there */
    FALLBACK_ENDED,       /* the service had ended */
    FALLBACK_NO_MEMORY,   /* the index segment was full */
    FALLBACK_LIBRARY,     /* a library that could not be loaded from its closure */
    FALLBACK_REASONS
};

struct fi_counters {
    _Atomic uint64_t intercepted[CALL_FAMILIES]; /* on paths of ours */
    _Atomic uint64_t served[CALL_FAMILIES];      /* answered from the node cache */
    _Atomic uint64_t fallbacks[FALLBACK_REASONS];
    _Atomic uint64_t lookups; /* real lookups made, by kind of work: names */
    _Atomic uint64_t files_read;
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t requests;      /* sent to the root */
    _Atomic uint64_t requests_seen; /* root only */
    _Atomic uint64_t bytes_broadcast;
    _Atomic uint64_t blocks_broadcast;
    _Atomic uint64_t init_ns;    /* constructor */
    _Atomic uint64_t waiting_ns; /* for the stream */
    _Atomic uint64_t fs_ns;      /* in real lookups and reads */
    _Atomic int32_t rank;
    _Atomic int32_t joined; /* 1: took part */
};

extern struct fi_counters *fi_count; /* never NULL: a private block until a segment is attached */

static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

extern const char *const call_family_names[CALL_FAMILIES];
extern const char *const fallback_names[FALLBACK_REASONS];

#endif
