/* Who is who in the job: one leader a node, found by what it writes to or by MPI_COMM_TYPE_SHARED,
 * not by host names.
 *
 * All functions are collective over the communicator they name and are called by one thread (the
 * one that called nodes_open). Waiting naps instead of spinning: the node's cores have other work.
 */
#ifndef BCAST_NODES_NODES_H
#define BCAST_NODES_NODES_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct nodes {
    MPI_Comm leaders; /* MPI_COMM_NULL in ranks that are no leader; MPI_COMM_WORLD if all are */
    int rank, size;   /* in MPI_COMM_WORLD */
    int leader, n;    /* this rank's number among the leaders, or -1; how many leaders */
    char name[64];    /* of this node, as MPI tells it */
    int cores;        /* this leader may use; shared fairly if leaders share a machine */
    int all_cores;    /* before sharing */
};

/* Where a leader would write; equal only if two leaders would write into the same directory. */
struct destination_id {
    uint64_t machine, device, inode;
};

/* Starts MPI; there are no leaders yet. */
void nodes_open(struct nodes *n);
void nodes_close(struct nodes *n);

/* Elects the first rank of each node, as MPI sees nodes. */
void nodes_elect(struct nodes *n);

/* Instead of nodes_elect, where it is known what each rank would write to: elects the first rank of
 * each place, and divides a machine's cores among its leaders. Making communicators blocks and
 * spins in MPI, on cores that others start up on: it is done only if there are more ranks than
 * leaders, or a rank whose place is not known (inode 0; then only the first of a node stands). */
void nodes_elect_by_directory(struct nodes *n, const struct destination_id *mine);

/* The machine's number for destination_id: from its boot ID. */
uint64_t nodes_machine(void);

/* Naps until a request is complete; MPI_Wait returns at once then (static checkers look for it). */
void nodes_wait(MPI_Request *r);

/* Begins a broadcast from rank 0 of the communicator. */
void nodes_begin_share(MPI_Comm comm, void *bytes, int n, MPI_Request *r);

/* The same, and waits. */
void nodes_share(MPI_Comm comm, void *bytes, int n);

#endif
