/*
 * The state that all mounts of one emulated file system share: exact counters, and the server's two
 * clocks.
 *
 * It is a small file, mapped shared by every sharedfs process; all fields are lock-free atomics, so
 * that a killed mount can leave no lock behind. The server is emulated by reservation: its clock
 * says until when it is busy; a request moves the clock forward by its own service time and is due
 * when its turn ends. So requests of all mounts are served one after another, and nobody burns CPU
 * time.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC. A state file is meaningful on one machine until it
 * reboots.
 */
#ifndef SHAREDFS_STATE_H
#define SHAREDFS_STATE_H

#include "ops.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { SFS_MAX_NODES = 64, SFS_STATE_VERSION = 1 };

struct sfs_counters {
    _Atomic uint64_t mounts; /* how often this node was mounted; 0: the node is not reported */
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

/* What a client pays. */
struct sfs_costs {
    uint64_t rtt_ns;           /* round trip of every request */
    uint64_t meta_ns;          /* the server's time for one metadata operation */
    uint64_t bytes_per_second; /* of the shared link; 0: unlimited */
};

/*
 * Maps the state file, creating it if `create`. Returns NULL with errno set: EINVAL if it is a file
 * of another kind or version. The mapping lives as long as the process.
 */
struct sfs_state *sfs_state_map(const char *path, int create);

/* Counters and clocks back to zero; mounts that are in use go on counting from there. */
void sfs_state_reset(struct sfs_state *state);

/* Counts one operation of a node. Thread-safe. */
void sfs_state_count(struct sfs_state *state, unsigned node, enum sfs_op op, uint64_t bytes);

/*
 * Reserves the server for one operation that was issued at `start`, and returns when its answer is
 * back at the client. Thread-safe; does not wait.
 */
uint64_t sfs_state_reserve(struct sfs_state *state, const struct sfs_costs *costs, enum sfs_op op,
                           uint64_t bytes, uint64_t start);

/* Writes total and per-node counters as JSON. */
void sfs_state_print(const struct sfs_state *state, FILE *out);

uint64_t sfs_now(void);
void sfs_sleep_until(uint64_t when);

#endif
