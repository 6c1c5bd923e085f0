/* SPDX-License-Identifier: BSD-3-Clause */
#include "nodes/nodes.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/boot_id.h"
#include "base/hash.h"
#include "base/io.h"

enum { NAP_MIN = 20, NAP_MAX = 2000 }; /* microseconds */

static int nodes_usable_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

/* Is this rank the first of its node, as MPI sees nodes? Blocks and spins inside MPI (see
 * nodes_elect_by_directory()). */
static bool nodes_is_first(void)
{
    MPI_Comm node = MPI_COMM_NULL;
    int rank, node_rank;
    mpi_call.Comm_rank(MPI_COMM_WORLD, &rank);
    mpi_call.Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
    mpi_call.Comm_rank(node, &node_rank);
    mpi_call.Comm_free(&node);
    return node_rank == 0;
}

static void nodes_number(struct nodes *n)
{
    if (n->leaders == MPI_COMM_NULL) {
        return;
    }
    mpi_call.Comm_rank(n->leaders, &n->leader);
    mpi_call.Comm_size(n->leaders, &n->n);
}

int nodes_open(struct nodes *n, struct error *err)
{
    int length;
    char name[CALLS_NAME_MAX];
    if (calls_open(err) < 0) {
        return -1;
    }
    mpi_call.Comm_rank(MPI_COMM_WORLD, &n->rank);
    mpi_call.Comm_size(MPI_COMM_WORLD, &n->size);
    mpi_call.Get_processor_name(name, &length);
    snprintf(n->name, sizeof n->name, "%.40s (rank %d)", name, n->rank);
    n->cores = n->all_cores = nodes_usable_cores();
    n->leaders = MPI_COMM_NULL;
    n->leader = -1;
    n->n = 0;
    return 0;
}

/* Makes the communicator of the leaders. (MPI_UNDEFINED would spare the others theirs, but is not
 * the same number in every MPI.) */
static void nodes_make_leaders(struct nodes *n, bool leads)
{
    mpi_call.Comm_split(MPI_COMM_WORLD, leads ? 0 : 1, n->rank, &n->leaders);
    if (!leads) {
        mpi_call.Comm_free(&n->leaders);
        n->leaders = MPI_COMM_NULL;
    }
}

void nodes_elect(struct nodes *n)
{
    nodes_make_leaders(n, nodes_is_first());
    nodes_number(n);
}

void nodes_close(struct nodes *n)
{
    if (n->leaders != MPI_COMM_NULL && n->leaders != MPI_COMM_WORLD) {
        mpi_call.Comm_free(&n->leaders);
    }
    calls_close();
}

uint64_t nodes_machine(void)
{
    char id[BOOT_ID_SIZE];
    size_t n = boot_id_read(id);
    if (n == 0 && gethostname(id, sizeof id) == 0) {
        n = strnlen(id, sizeof id);
    }
    return fi_hash(id, n, 0);
}

/* What each rank sends to all others. */
struct claim {
    struct destination_id directory;
    uint64_t stands; /* 1: this rank may become a leader; 0: it may not */
};

static bool nodes_same_directory(const struct destination_id *a, const struct destination_id *b)
{
    return a->inode != 0 && a->machine == b->machine && a->device == b->device &&
           a->inode == b->inode;
}

static void nodes_gather_claims(const struct claim *mine, struct claim *all)
{
    MPI_Request r = MPI_REQUEST_NULL;
    mpi_call.Iallgather(mine, sizeof *mine, MPI_BYTE, all, sizeof *mine, MPI_BYTE, MPI_COMM_WORLD,
                        &r);
    nodes_wait(&r);
}

static bool nodes_any_unknown(const struct claim *all, int n)
{
    for (int i = 0; i < n; i++) {
        if (all[i].directory.inode == 0) {
            return true;
        }
    }
    return false;
}
/* Is claim `i` the first one for its directory? */
static bool nodes_is_first_claim(const struct claim *all, int i)
{
    for (int before = 0; before < i; before++) {
        if (all[before].stands && nodes_same_directory(&all[before].directory, &all[i].directory)) {
            return false;
        }
    }
    return all[i].stands;
}

static int nodes_count_leaders(bool leads)
{
    MPI_Request r = MPI_REQUEST_NULL;
    int mine = leads, all = 0;
    mpi_call.Iallreduce(&mine, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD, &r);
    nodes_wait(&r);
    return all;
}

static void nodes_share_cores(struct nodes *n, const struct claim *all)
{
    int sharers = 0;
    for (int i = 0; i < n->size; i++) {
        sharers += all[i].directory.machine == all[n->rank].directory.machine &&
                   nodes_is_first_claim(all, i);
    }
    n->cores = sharers > 0 && n->cores / sharers > 1 ? n->cores / sharers : 1;
}

void nodes_elect_by_directory(struct nodes *n, const struct destination_id *mine)
{
    struct claim claim = {*mine, 1}, *all = io_alloc((size_t)n->size * sizeof *all);
    nodes_gather_claims(&claim, all);
    if (nodes_any_unknown(all, n->size)) {
        claim.stands = nodes_is_first();
        nodes_gather_claims(&claim, all);
    }
    bool leads = nodes_is_first_claim(all, n->rank);
    nodes_share_cores(n, all);
    free(all);
    if (nodes_count_leaders(leads) == n->size) {
        n->leaders = MPI_COMM_WORLD;
    } else {
        nodes_make_leaders(n, leads);
    }
    nodes_number(n);
}

/* A message that passes through a tree of ranks meets one nap on each level, so the first naps are
 * short. They grow with the time that this rank has waited, and add at most an eighth to it. */
void nodes_wait(MPI_Request *r)
{
    int done = 0;
    double start = io_now();
    for (;;) {
        mpi_call.Test(r, &done, MPI_STATUS_IGNORE);
        if (done) {
            return;
        }
        double nap = (io_now() - start) * 1e6 / 8;
        if (nap < NAP_MIN) {
            nap = NAP_MIN;
        }
        io_nap(nap < NAP_MAX ? (unsigned)nap : NAP_MAX);
    }
}

void nodes_begin_share(MPI_Comm comm, void *bytes, int n, MPI_Request *r)
{
    mpi_call.Ibcast(bytes, n, MPI_BYTE, 0, comm, r);
}

void nodes_share(MPI_Comm comm, void *bytes, int n)
{
    MPI_Request r = MPI_REQUEST_NULL;
    nodes_begin_share(comm, bytes, n, &r);
    nodes_wait(&r);
}
