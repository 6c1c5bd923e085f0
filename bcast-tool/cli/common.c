#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "cli/commands.h"
#include "nodes/agree.h"

int complain(const char *node, const struct fault *f)
{
    char text[sizeof f->path + sizeof f->reason + 8];
    fault_text(f, text, sizeof text);
    if (node)
        fprintf(stderr, "python-mpi-bcast: node %s: %s\n", node, text);
    else
        fprintf(stderr, "python-mpi-bcast: %s\n", text);
    return 1;
}

int on_every_node(const struct settings *s, node_work *work)
{
    struct nodes n;
    struct fault f = {0};
    struct agreement a = {0};
    nodes_open(&n);
    nodes_elect(&n);
    if (n.leader >= 0) {
        struct report *all = io_alloc((size_t)n.n * sizeof *all);
        work(s, &n, &f);
        agree(&n, &f, 0, all, &a);
        for (int i = 0; n.leader == 0 && i < n.n; i++)
            if (all[i].fault.set)
                complain(n.n > 1 ? all[i].node : NULL, &all[i].fault);
        free(all);
    }
    nodes_share(MPI_COMM_WORLD, &a.failed, sizeof a.failed);
    nodes_close(&n);
    return a.failed > 0;
}
