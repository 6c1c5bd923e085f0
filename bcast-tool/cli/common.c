/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "cli/commands.h"
#include "nodes/status.h"
#include "process/rank_variables.h"

int cli_complain(const char *node, const struct error *err)
{
    char text[sizeof err->path + sizeof err->reason + 8];
    error_text(err, text, sizeof text);
    if (node != NULL) {
        fprintf(stderr, "python-mpi-bcast: node %s: %s\n", node, text);
    } else {
        fprintf(stderr, "python-mpi-bcast: %s\n", text);
    }
    return 1;
}

int cli_complain_once(const struct error *err)
{
    return rank_variables_read(NULL) <= 0 ? cli_complain(NULL, err) : 1;
}

int cli_on_every_node(const struct settings *s, node_work *work)
{
    struct nodes n;
    struct error err = {0};
    struct status_summary a = {0};
    if (nodes_open(&n, &err) < 0) {
        return cli_complain_once(&err);
    }
    nodes_elect(&n);
    if (n.leader >= 0) {
        struct node_status *all = io_alloc((size_t)n.n * sizeof *all);
        work(s, &n, &err);
        status_exchange(&n, &err, 0, all, &a);
        for (int i = 0; n.leader == 0 && i < n.n; i++) {
            if (all[i].error.set) {
                cli_complain(n.n > 1 ? all[i].node : NULL, &all[i].error);
            }
        }
        free(all);
    }
    nodes_share(MPI_COMM_WORLD, &a.failed, sizeof a.failed);
    nodes_close(&n);
    return a.failed > 0;
}
