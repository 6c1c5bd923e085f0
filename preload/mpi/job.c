/* job.c - see job.h */
#include "mpi/job.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "mpi/bind.h"

struct job_private {
    MPI_Session session;
    MPI_Group group;
    MPI_Comm world;
    MPI_Comm node;
    MPI_Comm leaders;
};

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

static int open_world(struct job *job)
{
    struct job_private *p = job->p;
    int e = mpi.Session_init(MPI_INFO_NULL, MPI_ERRORS_RETURN, &p->session);

    if (e == MPI_SUCCESS) {
        e = mpi.Group_from_session_pset(p->session, "mpi://WORLD", &p->group);
    }
    if (e == MPI_SUCCESS) {
        e = mpi.Comm_create_from_group(p->group, "org.fastimport", MPI_INFO_NULL, MPI_ERRORS_RETURN, &p->world);
    }
    if (e == MPI_SUCCESS) {
        e = mpi.Comm_rank(p->world, &job->rank);
    }
    return e == MPI_SUCCESS ? mpi.Comm_size(p->world, &job->size) : e;
}

static int choose_root(struct job *job, bool candidate)
{
    int mine = candidate ? job->rank : job->size;
    int e = mpi.Allreduce(&mine, &job->root, 1, MPI_INT, MPI_MIN, job->p->world);

    if (job->root == job->size) {
        job->root = 0;
    }
    return e;
}

/* The root comes first in its node and among the leaders. */
static int split(struct job *job)
{
    struct job_private *p = job->p;
    int key = job->rank == job->root ? 0 : job->rank + 1;
    int e = mpi.Comm_split_type(p->world, MPI_COMM_TYPE_SHARED, key, MPI_INFO_NULL, &p->node);

    if (e != MPI_SUCCESS) {
        return e;
    }
    mpi.Comm_rank(p->node, &job->node_rank);
    mpi.Comm_size(p->node, &job->node_size);
    e = mpi.Comm_split(p->world, job->node_rank == 0 ? 0 : MPI_UNDEFINED, key, &p->leaders);
    if (e == MPI_SUCCESS && p->leaders != MPI_COMM_NULL) {
        mpi.Comm_rank(p->leaders, &job->leader);
        e = mpi.Comm_size(p->leaders, &job->n_nodes);
    }
    return e;
}

int job_open(struct job *job, bool candidate)
{
    int e;

    *job = (struct job){.leader = -1, .p = calloc(1, sizeof *job->p)};
    if (job->p == NULL) {
        return MPI_ERR_NO_MEM;
    }
    job->p->world = job->p->node = job->p->leaders = MPI_COMM_NULL;
    e = open_world(job);
    if (e == MPI_SUCCESS) {
        e = choose_root(job, candidate);
    }
    if (e == MPI_SUCCESS) {
        e = split(job);
    }
    return e == MPI_SUCCESS ? mpi.Bcast(&job->n_nodes, 1, MPI_INT, 0, job->p->node) : e;
}

int job_share_node(struct job *job, void *bytes, size_t size)
{
    return mpi.Bcast(bytes, (int)size, MPI_BYTE, 0, job->p->node);
}

int job_share_all(struct job *job, void *bytes, size_t size)
{
    return mpi.Bcast(bytes, (int)size, MPI_BYTE, job->root, job->p->world);
}

int job_all_agree(struct job *job, bool mine, bool *all)
{
    int in = mine;
    int out = 0;
    int e = mpi.Allreduce(&in, &out, 1, MPI_INT, MPI_MIN, job->p->world);

    *all = e == MPI_SUCCESS && out == 1;
    return e;
}

int job_post_broadcast(struct job *job, void *bytes, size_t size, struct job_request *r)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int e = mpi.Ibcast(bytes, (int)size, MPI_BYTE, 0, job->p->leaders, &request);

    set_request(r, request);
    return e;
}

int job_post_send(struct job *job, const void *bytes, size_t size, int leader, int tag, struct job_request *r)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int e = mpi.Isend(bytes, (int)size, MPI_BYTE, leader, tag, job->p->leaders, &request);

    set_request(r, request);
    return e;
}

int job_post_receive(struct job *job, void *bytes, size_t size, int tag, struct job_request *r)
{
    MPI_Request request = MPI_REQUEST_NULL;
    int e = mpi.Irecv(bytes, (int)size, MPI_BYTE, MPI_ANY_SOURCE, tag, job->p->leaders, &request);

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

bool job_program_finalized(void)
{
    int flag = 0;

    return mpi.Finalized != NULL && mpi.Finalized(&flag) == MPI_SUCCESS && flag;
}

bool job_program_initialized(void)
{
    int flag = 0;

    return mpi.Initialized != NULL && mpi.Initialized(&flag) == MPI_SUCCESS && flag;
}

/* A barrier that does not spin: ranks may be here long before the last one. (With one rank there is nothing to wait
 * for, and MPICH 4.0.2 has not set up what MPI_Test would drive.) */
static int gather_all(struct job *job)
{
    struct job_request r;
    MPI_Request request = MPI_REQUEST_NULL;
    int64_t nap = 20000;
    bool done = false;
    int e;

    if (job->size == 1) {
        return MPI_SUCCESS;
    }
    e = mpi.Ibarrier(job->p->world, &request);
    set_request(&r, request);
    while (e == MPI_SUCCESS && !done) {
        e = job_done(&r, &done, NULL);
        if (!done) {
            sys_nap_ns(nap);
            nap = nap < 5000000 ? nap * 2 : nap;
        }
    }
    return e;
}

int job_close(struct job *job)
{
    struct job_private *p = job->p;
    int e = gather_all(job);

    if (e != MPI_SUCCESS) {
        return e;
    }
    if (p->leaders != MPI_COMM_NULL) {
        mpi.Comm_free(&p->leaders);
    }
    mpi.Comm_free(&p->node);
    mpi.Comm_free(&p->world);
    mpi.Group_free(&p->group);
    return mpi.Session_finalize(&p->session);
}

void job_library(char *out, size_t size)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;

    mpi.Get_library_version(version, &length);
    version[strcspn(version, "\n")] = '\0';
    strncpy(out, version, size - 1);
    out[size - 1] = '\0';
}
