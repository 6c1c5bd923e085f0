/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - the state that all mounts of one emulated file system share: exact counters, and the
 * two clocks of the server.
 *
 * The state is a small file, which every sharedfs process maps shared. All fields are lock-free
 * atomics, so that a killed mount leaves no lock behind.
 *
 * Requests reserve the server's time. Each of its two clocks says until when the server is busy. A
 * request moves the clock forward by its service time, and its answer is due at the end of that
 * turn. So the server takes requests of all mounts one after another, and no process spins.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC. A state file is valid on one machine until it reboots.
 */
#ifndef SHAREDFS_STATE_H
#define SHAREDFS_STATE_H

#include "ops.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { SFS_MAX_NODES = 64, SFS_STATE_VERSION = 1 };

struct sfs_counters {
    _Atomic uint64_t mounts; /* how often this node mounted; 0: the statistics omit it */
    _Atomic uint64_t op[SFS_OP_COUNT];
    _Atomic uint64_t read_bytes;
    _Atomic uint64_t write_bytes;
};

struct sfs_state {
    char magic[8];
    uint32_t version;
    uint32_t size;              /* sizeof(struct sfs_state) of the writer */
    _Atomic uint64_t meta_free; /* the metadata server is busy until then */
    _Atomic uint64_t data_free; /* the shared link is busy until then */
    struct sfs_counters node[SFS_MAX_NODES];
};

/* What an operation costs. */
struct sfs_costs {
    uint64_t rtt_ns;           /* round trip of every request */
    uint64_t meta_ns;          /* the server's time for one metadata operation */
    uint64_t bytes_per_second; /* of the shared link; 0: unlimited */
};

/*
 * Maps the state file; creates it if `create` is not 0. Returns NULL with errno set on failure:
 * EINVAL if the file is of another kind or version. The mapping lives as long as the process.
 */
struct sfs_state *sfs_state_map(const char *path, int create);

/* Sets counters and clocks to zero. Mounts in use count on from there. */
void sfs_state_reset(struct sfs_state *state);

/* Counts one operation of a node, with the bytes that it read or wrote. Thread-safe. */
void sfs_state_count(struct sfs_state *state, unsigned node, enum sfs_op op, uint64_t bytes);

/*
 * Reserves the server for one operation that the client issued at `start`. Returns the time at
 * which the answer reaches the client. Thread-safe; does not wait.
 */
uint64_t sfs_state_reserve(struct sfs_state *state, const struct sfs_costs *costs, enum sfs_op op,
                           uint64_t bytes, uint64_t start);

/* Writes the counters as JSON: of all nodes together, and of each. */
void sfs_state_print(const struct sfs_state *state, FILE *out);

/* The time, and a sleep until then: nanoseconds of CLOCK_MONOTONIC. */
uint64_t sfs_now(void);
void sfs_sleep_until(uint64_t when);

#endif
