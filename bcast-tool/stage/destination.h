/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * destination.h - one node's destination: DIR, the partial copy beside it, and the steps from one
 * to the other.
 *
 * The order of calls: destination_open(), destination_begin(), destination_state(); the caller
 * unpacks into partial_fd; destination_commit(); then destination_finish() if all nodes are well,
 * else destination_rollback(). Last, in any case, destination_close(): it removes a copy that was
 * not committed.
 */
#ifndef BCAST_STAGE_DESTINATION_H
#define BCAST_STAGE_DESTINATION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "nodes/nodes.h"
#include "stage/partial.h"

/* What was staged. It is kept in the tree as NAME_STATE. */
struct destination_label {
    int n;
    struct {
        uint64_t id;
        char name[256];
    } archive[16];
};

enum destination_state {
    DESTINATION_EMPTY, /* there is no DIR */
    DESTINATION_SAME,  /* DIR holds the same archives, unchanged */
    DESTINATION_OTHER, /* DIR was staged from other archives, or has changed: `err` says which */
    DESTINATION_ALIEN  /* DIR was not made by `stage`, or another user may have changed it */
};

struct destination {
    char dir[PATH_MAX], parent[PATH_MAX], base[256]; /* DIR is parent/base, absolute and normal */
    int parent_fd, partial_fd;
    int mark_fd;                /* holds the lock on the partial copy */
    int old_mark_fd;            /* holds the lock on the tree that it replaces */
    char partial[PARTIAL_NAME]; /* its name in parent; empty: there is none */
    bool replaces, committed;
};

/* Checks the name of DIR and opens its parent. Fails if another user could replace a directory
 * above DIR (stage/trust.h). */
int destination_open(struct destination *p, const char *dir, struct error *err);
struct destination_id destination_id(const struct destination *p);

/* Makes the partial copy's directory. After success no other job stages into DIR on this node, and
 * what dead jobs had left is removed. `token` is the job's, the same on all nodes. */
int destination_begin(struct destination *p, const char *name, const char *token,
                      struct error *err);

enum destination_state destination_state(struct destination *p,
                                         const struct destination_label *label, struct error *err);

/* Is there room for so many bytes and inodes? */
int destination_space(const struct destination *p, uint64_t bytes, uint64_t files,
                      struct error *err);

/* Writes the label, and renames the partial copy to DIR. What was there before is kept until
 * destination_finish(). */
int destination_commit(struct destination *p, const struct destination_label *label,
                       struct error *err);
void destination_rollback(struct destination *p);
void destination_finish(struct destination *p);
void destination_close(struct destination *p);

/* Reads the label of a staged tree. False if `top` was not staged. */
bool destination_read_label(int top, struct destination_label *label);

#endif
