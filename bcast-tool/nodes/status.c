/* SPDX-License-Identifier: BSD-3-Clause */
#include "nodes/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

static void status_gather(const struct nodes *n, const struct node_status *mine,
                          struct node_status *all)
{
    MPI_Request r = MPI_REQUEST_NULL;
    mpi_call.Igather(mine, sizeof *mine, MPI_BYTE, all, sizeof *mine, MPI_BYTE, 0, n->leaders, &r);
    nodes_wait(&r);
}

static void status_sum_up(const struct nodes *n, const struct node_status *all,
                          struct status_summary *out)
{
    for (int i = 0; i < n->n; i++) {
        out->sum += all[i].value;
        if (!all[i].error.set) {
            continue;
        }
        if (out->failed++ == 0) {
            out->first = all[i];
        }
    }
}

void status_exchange(const struct nodes *n, const struct error *mine, uint64_t value,
                     struct node_status *all, struct status_summary *out)
{
    struct node_status own = {.error = *mine, .value = value};
    memset(out, 0, sizeof *out);
    snprintf(own.node, sizeof own.node, "%s", n->name);
    struct node_status *list = n->leader == 0 ? io_alloc((size_t)n->n * sizeof *list) : NULL;
    status_gather(n, &own, list);
    if (n->leader == 0) {
        status_sum_up(n, list, out);
    }
    if (all != NULL && list != NULL) {
        memcpy(all, list, (size_t)n->n * sizeof *list);
    }
    free(list);
    nodes_share(n->leaders, out, sizeof *out);
}
