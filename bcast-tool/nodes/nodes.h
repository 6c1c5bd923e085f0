/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nodes.h - the job's nodes, and one leader on each.
 *
 * Ranks are on one node if they would write into the same directory of the same machine, or if
 * MPI_COMM_TYPE_SHARED says so. Host names play no part.
 *
 * All functions are collective over the communicator that they name. One thread calls them, the one
 * that called nodes_open(). While they wait they sleep instead of spinning, for the cores have
 * other work to do.
 */
#ifndef BCAST_NODES_NODES_H
#define BCAST_NODES_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "nodes/calls.h"

struct nodes {
    MPI_Comm leaders; /* MPI_COMM_NULL in a rank that is no leader; MPI_COMM_WORLD if all are */
    int rank, size;   /* in MPI_COMM_WORLD */
    int leader, n;    /* this rank's number among the leaders, or -1; the number of leaders */
    char name[64];    /* the node's name by MPI, with the rank */
    int cores;        /* cores that this leader may use: leaders on one machine share its cores */
    int all_cores;    /* cores of the machine */
};

/* The directory that a rank would write into. The ids of two ranks are equal only if it is the same
 * directory. */
struct destination_id {
    uint64_t machine, device, inode;
};

/* Starts MPI (calls.h). There are no leaders yet. -1 and an error, the same in all ranks. */
int nodes_open(struct nodes *n, struct error *err);
void nodes_close(struct nodes *n);

/* Elects the first rank of each node, as MPI sees nodes. */
void nodes_elect(struct nodes *n);

/* The same where each rank knows which directory it would write into: elects the first rank of each
 * directory, and shares a machine's cores among its leaders. Making a communicator blocks and spins
 * inside MPI, on cores on which other ranks still start up. So this function makes one only if
 * there are more ranks than leaders, or if a rank does not know its directory (inode 0): then only
 * the first rank of each node may become a leader. */
void nodes_elect_by_directory(struct nodes *n, const struct destination_id *mine);

/* The number of this machine for struct destination_id: a hash of its boot id. */
uint64_t nodes_machine(void);

/* Sleeps until a request is complete, and completes it. */
void nodes_wait(MPI_Request *r);

/* Begins a broadcast of `n` bytes from rank 0 of the communicator. */
void nodes_begin_share(MPI_Comm comm, void *bytes, int n, MPI_Request *r);

/* The same, and waits until it is complete. */
void nodes_share(MPI_Comm comm, void *bytes, int n);

#endif
