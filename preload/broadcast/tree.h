/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree.h - the broadcast tree: the stream's way from the root to the leaders of all nodes, frame by
 * frame.
 *
 * The leaders are the nodes of a complete tree with TREE_FANOUT children each, numbered level by
 * level; the root is 0. A frame (wire.h) is one message. A leader forwards each frame to its
 * children before it stores it, so a long stream is on all levels at once: the last node has it
 * depth times a frame's time after the first one, however long it is. Frames keep their order,
 * because messages of one sender with one tag do not overtake each other (MPI-4.0, 3.5).
 *
 * Flow control: sends are synchronous (MPI_Issend), so one is finished only when the child has
 * begun to receive it. Each leader holds TREE_FRAMES frames, and takes no new one before its
 * children have the oldest. So a slow node slows those above it, and nobody's memory grows.
 *
 * Calling order: tree_open(); tree_progress() in every round of the loop; between the rounds the
 * root fills tree_free_frame() and calls tree_send(), and a leader stores tree_next() and calls
 * tree_consumed(); at last tree_close(). Thread rules: the service thread. Errors are MPI error
 * codes, or -1 (0: success). After an error only tree_close() may be called.
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
    int parent; /* -1: this is the root */
    int first_child;
    int n_children; /* first_child, first_child + 1, ... */
    int depth;      /* of this node, the root's is 0 */
};

/* Where a leader stands in the tree of a job with so many nodes. A pure function. */
struct tree_position tree_position(int leader, int n_nodes);

struct tree_slot {
    struct wire_frame *frame; /* owned, WIRE_FRAME bytes */
    struct job_request receive;
    struct job_request sends[TREE_FANOUT];
    bool sending[TREE_FANOUT];
};

struct tree {
    struct job *job;
    struct tree_position position;
    struct tree_slot slots[TREE_FRAMES]; /* frame number n is in slot n % TREE_FRAMES */
    /* Numbers of frames so far; each is at most the one above it. */
    unsigned posted;   /* a receive was posted for them */
    unsigned arrived;  /* they are here, and on their way to the children */
    unsigned consumed; /* their contents are not needed here any more */
    unsigned released; /* all children have them, so their slots are free */
    bool ended;        /* WIRE_END has come: no other frame follows */
};

/* Allocates the frames; a leader posts its receives. */
int tree_open(struct tree *tree, struct job *job);

/* Receives and forwards frames, and frees slots. Never waits. */
int tree_progress(struct tree *tree);

/* For the root: a frame to be filled, which tree_send() then sends to all nodes. NULL: all frames
 * are in flight. */
struct wire_frame *tree_free_frame(struct tree *tree);
int tree_send(struct tree *tree, struct wire_frame *frame);

/* For a leader: the oldest frame that has arrived and was not consumed; NULL: none. It stays valid
 * until tree_consumed(). */
const struct wire_frame *tree_next(struct tree *tree);
void tree_consumed(struct tree *tree);

/* Is a frame still on its way to a child? */
bool tree_in_flight(const struct tree *tree);

/* Withdraws receives and frees the frames. Sends that are not finished are not waited for: their
 * frames stay allocated. */
void tree_close(struct tree *tree);

#endif
