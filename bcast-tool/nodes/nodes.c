#include "nodes/nodes.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/io.h"

static int usable_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

static void elect(struct nodes *n)
{
    MPI_Comm node;
    int node_rank;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, n->rank, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &node_rank);
    MPI_Comm_free(&node);
    MPI_Comm_split(MPI_COMM_WORLD, node_rank == 0 ? 0 : MPI_UNDEFINED, n->rank, &n->leaders);
}

static void number(struct nodes *n)
{
    n->leader = -1;
    n->n = 0;
    if (n->leaders == MPI_COMM_NULL)
        return;
    MPI_Comm_rank(n->leaders, &n->leader);
    MPI_Comm_size(n->leaders, &n->n);
}

void nodes_open(struct nodes *n)
{
    int provided, length;
    char name[MPI_MAX_PROCESSOR_NAME];
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &n->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n->size);
    MPI_Get_processor_name(name, &length);
    snprintf(n->name, sizeof n->name, "%.40s (rank %d)", name, n->rank);
    n->cores = n->all_cores = usable_cores();
    elect(n);
    number(n);
}

void nodes_close(struct nodes *n)
{
    if (n->leaders != MPI_COMM_NULL)
        MPI_Comm_free(&n->leaders);
    MPI_Finalize();
}

uint64_t nodes_machine(void)
{
    char id[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : io_read(fd, id, sizeof id);
    if (fd >= 0)
        close(fd);
    if (n <= 0 && gethostname(id, sizeof id) == 0)
        n = (ssize_t)strnlen(id, sizeof id);
    return XXH3_64bits(id, n > 0 ? (size_t)n : 0);
}

static bool same(const struct place_id *a, const struct place_id *b)
{
    return a->machine == b->machine && a->device == b->device && a->inode == b->inode;
}

void nodes_settle(struct nodes *n, const struct place_id *mine)
{
    MPI_Request r;
    MPI_Comm fewer;
    int sharers = 0;
    bool first = true;
    if (n->leaders == MPI_COMM_NULL)
        return;
    struct place_id *all = io_alloc((size_t)n->n * sizeof *all);
    MPI_Iallgather(mine, sizeof *mine, MPI_BYTE, all, sizeof *mine, MPI_BYTE, n->leaders, &r);
    nodes_wait(&r);
    MPI_Wait(&r, MPI_STATUS_IGNORE);
    for (int i = 0; i < n->n; i++) {
        sharers += all[i].machine == mine->machine;
        first = first && (i >= n->leader || mine->inode == 0 || !same(&all[i], mine));
    }
    free(all);
    n->cores = sharers > 0 && n->cores / sharers > 1 ? n->cores / sharers : 1;
    MPI_Comm_split(n->leaders, first ? 0 : MPI_UNDEFINED, n->leader, &fewer);
    MPI_Comm_free(&n->leaders);
    n->leaders = fewer;
    number(n);
}

void nodes_wait(MPI_Request *r)
{
    int done = 0;
    unsigned nap = 20;
    for (;;) {
        MPI_Test(r, &done, MPI_STATUS_IGNORE);
        if (done)
            return;
        io_nap(nap);
        nap = nap < 2000 ? nap * 2 : nap;
    }
}

void nodes_begin_share(MPI_Comm comm, void *bytes, int n, MPI_Request *r)
{
    MPI_Ibcast(bytes, n, MPI_BYTE, 0, comm, r);
}

void nodes_share(MPI_Comm comm, void *bytes, int n)
{
    MPI_Request r;
    nodes_begin_share(comm, bytes, n, &r);
    nodes_wait(&r);
    MPI_Wait(&r, MPI_STATUS_IGNORE);
}
