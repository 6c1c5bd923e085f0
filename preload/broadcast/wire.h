/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - the layout of the messages between the service threads.
 *
 * The root sends frames to the leaders, down a tree (tree.h); each frame is one message and carries
 * bytes of the stream. Leaders send requests directly to the root, and at the end exit statistics
 * (exit_stats.h). All processes of a job run the same binary on one architecture, so no byte order
 * is converted.
 */
#ifndef FASTIMPORT_BROADCAST_WIRE_H
#define FASTIMPORT_BROADCAST_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/record.h"
#include "policy/mount_check.h"
#include "policy/policy.h"

enum {
    WIRE_FRAME = 512 << 10, /* the size of a frame at most, with its head */
    WIRE_REQUESTS = 16384,  /* the size of a message with requests at most */
    WIRE_TAG_REQUESTS = 1,
    WIRE_TAG_EXIT_STATS = 2,
    WIRE_TAG_STREAM = 3,
    WIRE_TAG_ANNOUNCED = 4,
};

enum wire_type { WIRE_DATA = 1, WIRE_HEARTBEAT, WIRE_BULK_DONE, WIRE_END };

struct wire_frame {
    uint32_t type;
    uint32_t size; /* of the bytes; the message ends with them */
    char bytes[];
};

/* A message with requests: one behind the other, each padded to 8 bytes. */
struct wire_request {
    uint64_t argument;
    uint16_t length;
    uint8_t kind;
    char path[]; /* NUL-terminated */
};

/* Append a request to a buffer, and take the next one from it; *at moves on. False: it does not
 * fit; there is none, or it is malformed. What wire_get() returns points into the buffer. */
bool wire_put(char *buffer, size_t capacity, size_t *at, const struct fi_query *query);
bool wire_get(const char *buffer, size_t size, size_t *at, struct fi_query *query);

/* What the root tells all ranks when it has joined. */
struct wire_hello {
    uint32_t usable;  /* the root has a node cache */
    uint32_t planned; /* number of the plan's entries, whose records come first */
    uint64_t max_file;
    struct mount_check mount_check;
    uint32_t roots_size;
    char roots[POLICY_TEXT];
};

/* What a node's leader tells the ranks of its node. */
struct wire_node {
    uint32_t usable; /* the node has a cache: */
    uint64_t nonce;
    char directory[256];
};

#endif
