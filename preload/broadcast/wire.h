/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - the messages between the services of the nodes: layout only.
 *
 * Root to leaders, down a tree (relay.h): frames, each of them one message that carries stream
 * bytes. Leaders to the root, directly: requests, and at the end a farewell. All processes of a job
 * run the same binary of one architecture: no byte order is converted.
 */
#ifndef FASTIMPORT_BROADCAST_WIRE_H
#define FASTIMPORT_BROADCAST_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/record.h"
#include "policy/mount_check.h"
#include "policy/policy.h"

enum {
    WIRE_FRAME = 512 << 10, /* a frame at most, head and bytes */
    WIRE_REQUESTS = 16384,
    WIRE_TAG_REQUESTS = 1,
    WIRE_TAG_EXIT_STATS = 2,
    WIRE_TAG_STREAM = 3,
};

enum wire_type { WIRE_DATA = 1, WIRE_HEARTBEAT, WIRE_BULK_DONE, WIRE_END };

struct wire_frame {
    uint32_t type;
    uint32_t size; /* bytes in here; the message is no longer than they need */
    char bytes[];
};

/* Requests are packed one behind the other, each padded to 8. */
struct wire_request {
    uint64_t argument;
    uint16_t length;
    uint8_t kind;
    char path[]; /* NUL-terminated */
};

/* A request's place in a buffer; see wire.c. False: no room, or nothing (sound) left. */
bool wire_put(char *buffer, size_t room, size_t *at, const struct fi_query *query);
bool wire_get(const char *buffer, size_t size, size_t *at, struct fi_query *query);

/* What the root tells all at the start. */
struct wire_hello {
    uint32_t usable;  /* the root has a node cache */
    uint32_t planned; /* entries of the plan, whose bulk comes first */
    uint64_t max_file;
    struct mount_check mount_check;
    uint32_t roots_size;
    char roots[POLICY_TEXT];
};

/* What a node's leader tells its node. */
struct wire_node {
    uint32_t usable;
    uint64_t nonce;
    char directory[256];
};

#endif
