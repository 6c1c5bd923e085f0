/* All leaders learn whether all of them are well, and leader 0 what is wrong where. */
#ifndef BCAST_NODES_STATUS_H
#define BCAST_NODES_STATUS_H

#include "nodes/nodes.h"

struct node_status {
    char node[64];
    struct error error; /* .set: this node has failed */
    uint64_t value;     /* summed up and kept by leader 0 */
};

struct status_summary {
    int failed;               /* nodes */
    uint64_t sum;             /* of the values */
    struct node_status first; /* of the failed ones, in the order of ranks */
};

/* Collective over the leaders. Leader 0 gets every report in `all` (n->n of them) if it is not
 * NULL. */
void status_exchange(const struct nodes *n, const struct error *mine, uint64_t value,
                     struct node_status *all, struct status_summary *out);

#endif
