/* All leaders learn whether all of them are well, and leader 0 what is wrong where. */
#ifndef BCAST_NODES_AGREE_H
#define BCAST_NODES_AGREE_H

#include "nodes/nodes.h"

struct report {
    char node[64];
    struct fault fault; /* .set: this node has failed */
    uint64_t value;     /* summed up and kept by leader 0 */
};

struct agreement {
    int failed;          /* nodes */
    uint64_t sum;        /* of the values */
    struct report first; /* of the failed ones, in the order of ranks */
};

/* Collective over the leaders. Leader 0 gets every report in `all` (n->n of them) if it is not
 * NULL. */
void agree(const struct nodes *n, const struct fault *mine, uint64_t value, struct report *all,
           struct agreement *out);

#endif
