/* SPDX-License-Identifier: BSD-3-Clause */
/* job.c - see job.h */
#include "mpi/job.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "mpi/bind.h"
#include "mpi/init.h"
#include "mpi/job_private.h"
#include "mpi/node_id.h"

_Static_assert(sizeof(MPI_Request) <= sizeof(int64_t), "a request fits into struct job_request");

static MPI_Request get_request(const struct job_request *r)
{
    MPI_Request request;

    memcpy(&request, &r->handle, sizeof request);
    return request;
}

static void set_request(struct job_request *r, MPI_Request request)
{
    memcpy(&r->handle, &request, sizeof request);
}

/* The thread level has to be asked for here: in MPICH 5 the first session or MPI_Init decides it
 * for the program, too, whatever its MPI_Init_thread requires later. */
static int open_session(struct job_private *p)
{
    MPI_Info info;
    int e = mpi.Info_create(&info);

    if (e == MPI_SUCCESS) {
        e = mpi.Info_set(info, "thread_level", "MPI_THREAD_MULTIPLE");
    }
    if (e == MPI_SUCCESS) {
        e = mpi.Session_init(info, MPI_ERRORS_RETURN, &p->session);
        mpi.Info_free(&info);
    }
    return e;
}

static int open_world_of_session(struct job_private *p)
{
    int e = open_session(p);

    if (e == MPI_SUCCESS) {
        e = mpi.Group_from_session_pset(p->session, "mpi://WORLD", &p->group);
    }
    if (e == MPI_SUCCESS) {
        e = mpi.Comm_create_from_group(p->group, "org.fastimport", MPI_INFO_NULL, MPI_ERRORS_RETURN,
                                       &p->world);
    }
    return e;
}

/* Without Sessions: initialises MPI before the program does (init.h). */
static int open_world_of_init(struct job_private *p)
{
    int e = init_open();

    if (e == MPI_SUCCESS) {
        e = mpi.Comm_dup(MPI_COMM_WORLD, &p->world);
    }
    if (e == MPI_SUCCESS) {
        e = mpi.Comm_set_errhandler(p->world, MPI_ERRORS_RETURN);
    }
    return e == MPI_SUCCESS ? mpi.Comm_group(p->world, &p->group) : e;
}

static int open_world(struct job *job)
{
    struct job_private *p = job->p;
    int e = mpi.Session_init != NULL ? open_world_of_session(p) : open_world_of_init(p);

    if (e == MPI_SUCCESS) {
        e = mpi.Comm_rank(p->world, &job->rank);
    }
    return e == MPI_SUCCESS ? mpi.Comm_size(p->world, &job->size) : e;
}

/* Collective over the ranks of the group only. */
static int create_from_group(const struct job_private *p, MPI_Group group, MPI_Comm *comm)
{
    enum { TAG = 1 };
    int e;

    if (mpi.Session_init != NULL) {
        return mpi.Comm_create_from_group(group, "org.fastimport.leaders", MPI_INFO_NULL,
                                          MPI_ERRORS_RETURN, comm);
    }
    e = mpi.Comm_create_group(p->world, group, TAG, comm);
    return e == MPI_SUCCESS ? mpi.Comm_set_errhandler(*comm, MPI_ERRORS_RETURN) : e;
}

/* --- waiting without spinning: other ranks need the core --- */

static _Atomic uint64_t rounds; /* of all waits: grows as long as this thread is not stuck in MPI */

uint64_t job_wait_rounds(void)
{
    return atomic_load_explicit(&rounds, memory_order_relaxed);
}

enum { NAP_MIN_NS = 20000, NAP_MAX_NS = 5000000 };

/* Naps grow with the time waited, to which they add at most an eighth: a start is several waits in
 * a row, and a nap that is too long in one of them delays the next. */
static int64_t nap_after(int64_t waited_ns)
{
    int64_t nap = waited_ns / 8;

    if (nap < NAP_MIN_NS) {
        return NAP_MIN_NS;
    }
    return nap < NAP_MAX_NS ? nap : NAP_MAX_NS;
}

void job_nap(int64_t waited_ns)
{
    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    sys_nap_ns(nap_after(waited_ns));
}

static int wait_napping(MPI_Request request)
{
    struct job_request r;
    int64_t start = sys_now_ns();
    bool done = false;
    int e = MPI_SUCCESS;

    set_request(&r, request);
    while (e == MPI_SUCCESS && !done) {
        e = job_done(&r, &done, NULL);
        if (!done) {
            job_nap(sys_now_ns() - start);
        }
    }
    return e;
}

/* --- who is where --- */

struct rank_facts {
    uint64_t node; /* equal in ranks of one node */
    int32_t knows_node;
    int32_t candidate; /* for the root */
};

static int gather_rank_facts(struct job *job, bool candidate, struct rank_facts *ranks)
{
    struct rank_facts mine = {.candidate = candidate};
    MPI_Request request = MPI_REQUEST_NULL;
    int e;

    mine.knows_node = node_id(&mine.node);
    e = mpi.Iallgather(&mine, sizeof mine, MPI_BYTE, ranks, sizeof mine, MPI_BYTE, job->p->world,
                       &request);
    return e == MPI_SUCCESS ? wait_napping(request) : e;
}

/* The lowest candidate; without any, rank 0. */
static int choose_root(const struct job *job, const struct rank_facts *ranks)
{
    for (int i = 0; i < job->size; i++) {
        if (ranks[i].candidate) {
            return i;
        }
    }
    return 0;
}

/* Where a rank does not know its node, MPI is asked. The world rank of a node's first rank then
 * stands for the node. */
static int ask_mpi_for_nodes(struct job *job, struct rank_facts *ranks)
{
    struct rank_facts mine = ranks[job->rank];
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Comm node;
    int first = job->rank;
    int e =
        mpi.Comm_split_type(job->p->world, MPI_COMM_TYPE_SHARED, job->rank, MPI_INFO_NULL, &node);

    if (e == MPI_SUCCESS) {
        e = mpi.Bcast(&first, 1, MPI_INT, 0, node);
        mpi.Comm_free(&node);
    }
    mine.node = (uint64_t)first;
    mine.knows_node = 1;
    if (e == MPI_SUCCESS) {
        e = mpi.Iallgather(&mine, sizeof mine, MPI_BYTE, ranks, sizeof mine, MPI_BYTE,
                           job->p->world, &request);
    }
    return e == MPI_SUCCESS ? wait_napping(request) : e;
}

static bool all_know_their_node(const struct job *job, const struct rank_facts *ranks)
{
    for (int i = 0; i < job->size; i++) {
        if (!ranks[i].knows_node) {
            return false;
        }
    }
    return true;
}

struct node_member {
    uint64_t node;
    int rank;
};

static int by_node_then_rank(const void *a, const void *b)
{
    const struct node_member *x = a;
    const struct node_member *y = b;

    return x->node != y->node ? (x->node > y->node) - (x->node < y->node) : x->rank - y->rank;
}

static int by_rank(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Lists the ranks of this node, its leader first, and the leaders of all nodes, the root first. A
 * node's leader is the root, or its lowest rank. */
static void group_by_node(struct job *job, const struct node_member *sorted, int *leaders)
{
    struct job_private *p = job->p;

    for (int begin = 0, end; begin < job->size; begin = end) {
        int leader = sorted[begin].rank;
        bool mine = false;

        for (end = begin; end < job->size && sorted[end].node == sorted[begin].node; end++) {
            leader = sorted[end].rank == job->root ? job->root : leader;
            mine |= sorted[end].rank == job->rank;
        }
        leaders[job->n_nodes++] = leader == job->root ? -1 : leader;
        if (!mine) {
            continue;
        }
        p->node[job->node_size++] = leader;
        for (int i = begin; i < end; i++) {
            if (sorted[i].rank != leader) {
                p->node[job->node_size++] = sorted[i].rank;
            }
        }
    }
    qsort(leaders, (size_t)job->n_nodes, sizeof *leaders, by_rank);
    leaders[0] = job->root;
}

static int group_ranks(struct job *job, const struct rank_facts *ranks, int *leaders)
{
    struct node_member *sorted = calloc((size_t)job->size, sizeof *sorted);

    job->p->node = calloc((size_t)job->size, sizeof *job->p->node);
    if (sorted == NULL || job->p->node == NULL) {
        free(sorted);
        return MPI_ERR_NO_MEM;
    }
    for (int i = 0; i < job->size; i++) {
        sorted[i] = (struct node_member){ranks[i].node, i};
    }
    qsort(sorted, (size_t)job->size, sizeof *sorted, by_node_then_rank);
    group_by_node(job, sorted, leaders);
    free(sorted);
    while (job->p->node[job->node_rank] != job->rank) {
        job->node_rank++;
    }
    return MPI_SUCCESS;
}

/* Collective over the leaders only, so that no other rank delays them. */
static int open_leaders(struct job *job, const int *leaders)
{
    struct job_private *p = job->p;
    MPI_Group group;
    int e;

    if (job->node_rank != 0) {
        return MPI_SUCCESS;
    }
    e = mpi.Group_incl(p->group, job->n_nodes, leaders, &group);
    if (e == MPI_SUCCESS) {
        e = create_from_group(p, group, &p->leaders);
        mpi.Group_free(&group);
    }
    return e == MPI_SUCCESS ? mpi.Comm_rank(p->leaders, &job->leader) : e;
}

static int arrange_ranks(struct job *job, bool candidate, struct rank_facts *ranks, int *leaders)
{
    int e = gather_rank_facts(job, candidate, ranks);

    if (e == MPI_SUCCESS && !all_know_their_node(job, ranks)) {
        e = ask_mpi_for_nodes(job, ranks);
    }
    if (e == MPI_SUCCESS) {
        job->root = choose_root(job, ranks);
        e = group_ranks(job, ranks, leaders);
    }
    return e == MPI_SUCCESS ? open_leaders(job, leaders) : e;
}

static int arrange_single(struct job *job)
{
    job->p->node = calloc(1, sizeof *job->p->node);
    job->node_size = job->n_nodes = 1;
    job->leader = 0;
    return job->p->node == NULL ? MPI_ERR_NO_MEM : MPI_SUCCESS;
}

static int arrange_all(struct job *job, bool candidate)
{
    struct rank_facts *ranks;
    int *leaders;
    int e;

    ranks = calloc((size_t)job->size, sizeof *ranks);
    leaders = calloc((size_t)job->size, sizeof *leaders);
    e = ranks == NULL || leaders == NULL ? MPI_ERR_NO_MEM
                                         : arrange_ranks(job, candidate, ranks, leaders);
    free(ranks);
    free(leaders);
    return e;
}

int job_open(struct job *job, bool candidate)
{
    int e;

    *job = (struct job){.leader = -1, .p = calloc(1, sizeof *job->p)};
    if (job->p == NULL) {
        return MPI_ERR_NO_MEM;
    }
    job->p->world = job->p->leaders = MPI_COMM_NULL;
    e = open_world(job);
    if (e != MPI_SUCCESS) {
        return e;
    }
    return job_is_alone(job) ? arrange_single(job) : arrange_all(job, candidate);
}

/* --- sharing at the start --- */

enum { TAG_NODE = 7, TAG_SUM = 8 };

int job_share_node(struct job *job, void *bytes, size_t size)
{
    const struct job_private *p = job->p;
    MPI_Request request = MPI_REQUEST_NULL;
    int e = MPI_SUCCESS;

    if (job->node_rank != 0) {
        e = mpi.Irecv(bytes, (int)size, MPI_BYTE, p->node[0], TAG_NODE, p->world, &request);
        return e == MPI_SUCCESS ? wait_napping(request) : e;
    }
    for (int i = 1; i < job->node_size && e == MPI_SUCCESS; i++) {
        e = mpi.Isend(bytes, (int)size, MPI_BYTE, p->node[i], TAG_NODE, p->world, &request);
        if (e == MPI_SUCCESS) {
            e = wait_napping(request);
        }
    }
    return e;
}

int job_sum_node(struct job *job, int mine, int *sum)
{
    const struct job_private *p = job->p;
    MPI_Request request = MPI_REQUEST_NULL;
    int e = MPI_SUCCESS;

    *sum = mine;
    if (job->node_rank != 0) {
        e = mpi.Isend(&mine, 1, MPI_INT, p->node[0], TAG_SUM, p->world, &request);
        return e == MPI_SUCCESS ? wait_napping(request) : e;
    }
    for (int i = 1; i < job->node_size && e == MPI_SUCCESS; i++) {
        int other = 0;

        e = mpi.Irecv(&other, 1, MPI_INT, p->node[i], TAG_SUM, p->world, &request);
        e = e == MPI_SUCCESS ? wait_napping(request) : e;
        *sum += other;
    }
    return e;
}

int job_share_all(struct job *job, void *bytes, size_t size)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int e;

    if (job_is_alone(job)) {
        return MPI_SUCCESS;
    }
    e = mpi.Ibcast(bytes, (int)size, MPI_BYTE, job->root, job->p->world, &request);
    return e == MPI_SUCCESS ? wait_napping(request) : e;
}

/* --- in flight --- */

int job_post_send(struct job *job, const void *bytes, size_t size, int leader, int tag,
                  struct job_request *r)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int e = mpi.Isend(bytes, (int)size, MPI_BYTE, leader, tag, job->p->leaders, &request);

    set_request(r, request);
    return e;
}

int job_post_handover(struct job *job, const void *bytes, size_t size, int leader, int tag,
                      struct job_request *r)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int e = mpi.Issend(bytes, (int)size, MPI_BYTE, leader, tag, job->p->leaders, &request);

    set_request(r, request);
    return e;
}

int job_post_receive(struct job *job, void *bytes, size_t size, int leader, int tag,
                     struct job_request *r)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int source = leader == JOB_ANYONE ? MPI_ANY_SOURCE : leader;
    int e = mpi.Irecv(bytes, (int)size, MPI_BYTE, source, tag, job->p->leaders, &request);

    set_request(r, request);
    return e;
}

int job_done(struct job_request *r, bool *done, size_t *size)
{
    MPI_Request request = get_request(r);
    MPI_Status status;
    int flag = 0;
    int count = 0;
    int e = mpi.Test(&request, &flag, &status);

    set_request(r, request);
    *done = e == MPI_SUCCESS && flag;
    if (*done && size != NULL) {
        e = mpi.Get_count(&status, MPI_BYTE, &count);
        *size = count < 0 ? 0 : (size_t)count;
    }
    return e;
}

void job_cancel(struct job_request *r)
{
    MPI_Request request = get_request(r);

    if (request != MPI_REQUEST_NULL) {
        mpi.Cancel(&request);
        mpi.Request_free(&request);
        set_request(r, request);
    }
}

int job_close(struct job *job)
{
    struct job_private *p = job->p;

    if (p->leaders != MPI_COMM_NULL) {
        mpi.Comm_free(&p->leaders);
    }
    mpi.Comm_free(&p->world);
    mpi.Group_free(&p->group);
    return mpi.Session_init != NULL ? mpi.Session_finalize(&p->session) : init_close();
}
