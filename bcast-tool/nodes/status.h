/* SPDX-License-Identifier: BSD-3-Clause */
/* status.h - the leaders exchange their status: all learn whether any of them has failed, and
 * leader 0 learns what is wrong on which node. */
#ifndef BCAST_NODES_STATUS_H
#define BCAST_NODES_STATUS_H

#include "nodes/nodes.h"

struct node_status {
    char node[64];
    struct error error; /* the node has failed if it is set */
    uint64_t value;     /* any number; leader 0 adds them up */
};

struct status_summary {
    int failed;               /* number of nodes that have failed */
    uint64_t sum;             /* sum of the values */
    struct node_status first; /* the status of the failed node with the lowest rank */
};

/* Collective over the leaders. `all` may be NULL; else leader 0 gets the status of each node in it
 * (n->n of them). */
void status_exchange(const struct nodes *n, const struct error *mine, uint64_t value,
                     struct node_status *all, struct status_summary *out);

#endif
