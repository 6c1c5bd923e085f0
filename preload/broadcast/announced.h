/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * announced.h - how many of the job's announced changes have all nodes below a leader?
 *
 * The root sends a RECORD_LIVE for each directory in which the job changes something. It comes to
 * all nodes in the stream, so in the same order everywhere, and a number says which have come. Each
 * leader tells its parent in the tree (tree.h) the least number that it and the leaders below it
 * have. What has reached the root by that way all nodes have.
 *
 * Calling order, all in the service thread: announced_open; in every round announced_work;
 * announced_close. Errors are MPI's (0: success); after one, only announced_close.
 */
#ifndef FASTIMPORT_BROADCAST_ANNOUNCED_H
#define FASTIMPORT_BROADCAST_ANNOUNCED_H

#include "broadcast/tree.h"

struct announced {
    struct job *job;
    struct tree_position place;
    uint32_t below[TREE_FANOUT]; /* what the children have said */
    uint32_t heard[TREE_FANOUT]; /* receive buffers */
    struct job_request receives[TREE_FANOUT];
    uint32_t all;  /* this node and all below it have so many */
    uint32_t said; /* to the parent; send buffer */
    struct job_request send;
    bool sending, open;
};

/* In jobs of several nodes only. */
int announced_open(struct announced *announced, struct job *job);

/* here: so many have come to this node. announced->all is up to date afterwards. */
int announced_work(struct announced *announced, uint32_t here);

void announced_close(struct announced *announced);

#endif
