/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree.h - the stream's way from the root to the leaders of all nodes: down a tree, frame by
 * frame.
 *
 * The leaders are the nodes of a complete tree with RELAY_FANOUT children each, numbered level by
 * level; the root is 0. A frame (wire.h) is one message. Whoever gets one passes it on to its
 * children before it stores it, so a long stream is on all levels at once: the last node has it
 * depth x a frame's time after the first, however long it is. Frames keep their order, because
 * messages of one sender and tag do not overtake each other (MPI-4.0, 3.5).
 *
 * Flow control: sends are synchronous: one is finished only when the child has begun to receive it.
 * A relay holds RELAY_FRAMES frames and takes no new one before its children have the oldest, so a
 * slow node slows those above it, and nobody's memory grows.
 *
 * Calling order, all in the service thread: relay_open; in every round relay_work; between, the
 * root fills relay_room() and calls relay_send(), a leader stores relay_next() and calls
 * relay_taken(); relay_close. Errors are MPI's (0: success); after one, only relay_close.
 */
#ifndef FASTIMPORT_BROADCAST_TREE_H
#define FASTIMPORT_BROADCAST_TREE_H

#include "broadcast/wire.h"
#include "mpi/job.h"

enum {
    TREE_FANOUT = 2,
    TREE_FRAMES = 4,
};

struct tree_position {
    int parent; /* -1: the root */
    int first_child;
    int n_children; /* first_child, first_child + 1, ... */
    int depth;      /* of this node, the root's is 0 */
};

/* A pure function: where a leader stands in the tree of a job of so many nodes. */
struct tree_position tree_position(int leader, int n_nodes);

struct tree_slot {
    struct wire_frame *frame;
    struct job_request receive;
    struct job_request sends[TREE_FANOUT];
    bool sending[TREE_FANOUT];
};

struct tree {
    struct job *job;
    struct tree_position place;
    struct tree_slot slots[TREE_FRAMES]; /* a frame's slot: its number modulo RELAY_FRAMES */
    /* How many frames have come so far: none of these is ahead of the one before it. */
    unsigned posted;   /* a receive waits for so many */
    unsigned arrived;  /* here, and on their way to the children */
    unsigned taken;    /* the owner is through with them */
    unsigned released; /* all children have them: the slot is free */
    bool ended;        /* WIRE_END has come: no other frame follows */
};

/* Allocates the frames; a leader posts its receives. */
int tree_open(struct tree *tree, struct job *job);

/* Receives, passes on, frees slots. */
int tree_progress(struct tree *tree);

/* Root: a frame to be filled, NULL while all are in flight; then it goes to all. */
struct wire_frame *tree_room(struct tree *tree);
int tree_send(struct tree *tree, struct wire_frame *frame);

/* Leader: the oldest frame that is here and was not taken; NULL: none. */
const struct wire_frame *tree_next(struct tree *tree);
void tree_taken(struct tree *tree);

/* Is anything still on its way to a child? */
bool tree_in_flight(const struct tree *tree);

/* Withdraws receives and frees the frames. Sends that are not finished are not waited for: their
 * frames stay allocated. */
void tree_close(struct tree *tree);

#endif
