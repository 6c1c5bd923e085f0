/* SPDX-License-Identifier: BSD-3-Clause */
/* calls_alone.c - MPI for one rank: what it sends, it receives at once. See calls.h */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nodes/calls.h"

static int alone_init_thread(int *argc, char ***argv, int required, int *provided)
{
    (void)argc, (void)argv;
    *provided = required;
    return MPI_SUCCESS;
}

static int alone_finalize(void)
{
    return MPI_SUCCESS;
}

static int alone_abort(MPI_Comm comm, int code)
{
    (void)comm;
    exit(code);
}

static int alone_name(char *name, int *length)
{
    if (gethostname(name, CALLS_NAME_MAX) != 0) {
        strcpy(name, "localhost");
    }
    name[CALLS_NAME_MAX - 1] = '\0';
    *length = (int)strlen(name);
    return MPI_SUCCESS;
}

static int alone_rank(MPI_Comm comm, int *rank)
{
    (void)comm;
    *rank = 0;
    return MPI_SUCCESS;
}

static int alone_size(MPI_Comm comm, int *size)
{
    (void)comm;
    *size = 1;
    return MPI_SUCCESS;
}

static int alone_split(MPI_Comm comm, int color, int key, MPI_Comm *made)
{
    (void)color, (void)key;
    *made = comm;
    return MPI_SUCCESS;
}

static int alone_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *made)
{
    (void)type, (void)key, (void)info;
    *made = comm;
    return MPI_SUCCESS;
}

static int alone_free(MPI_Comm *comm)
{
    *comm = MPI_COMM_NULL;
    return MPI_SUCCESS;
}

static int alone_allgather(const void *from, int n, MPI_Datatype from_type, void *to, int to_n,
                           MPI_Datatype to_type, MPI_Comm comm, MPI_Request *request)
{
    (void)from_type, (void)to_n, (void)to_type, (void)comm;
    memcpy(to, from, (size_t)n);
    *request = MPI_REQUEST_NULL;
    return MPI_SUCCESS;
}

static int alone_gather(const void *from, int n, MPI_Datatype from_type, void *to, int to_n,
                        MPI_Datatype to_type, int root, MPI_Comm comm, MPI_Request *request)
{
    (void)root;
    return alone_allgather(from, n, from_type, to, to_n, to_type, comm, request);
}

/* Only integers are reduced. */
static int alone_allreduce(const void *from, void *to, int n, MPI_Datatype type, MPI_Op op,
                           MPI_Comm comm, MPI_Request *request)
{
    (void)type, (void)op, (void)comm;
    memcpy(to, from, (size_t)n * sizeof(int));
    *request = MPI_REQUEST_NULL;
    return MPI_SUCCESS;
}

static int alone_bcast(void *bytes, int n, MPI_Datatype type, int root, MPI_Comm comm,
                       MPI_Request *request)
{
    (void)bytes, (void)n, (void)type, (void)root, (void)comm;
    *request = MPI_REQUEST_NULL;
    return MPI_SUCCESS;
}

static int alone_test(MPI_Request *request, int *done, MPI_Status *status)
{
    (void)request, (void)status;
    *done = 1;
    return MPI_SUCCESS;
}

static int alone_send(const void *bytes, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm)
{
    (void)bytes, (void)n, (void)type, (void)to, (void)tag, (void)comm;
    return MPI_ERR_OTHER; /* there is nobody */
}

static int alone_recv(void *bytes, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
                      MPI_Status *status)
{
    (void)bytes, (void)n, (void)type, (void)from, (void)tag, (void)comm, (void)status;
    return MPI_ERR_OTHER;
}

static int alone_probe(int from, int tag, MPI_Comm comm, int *there, MPI_Status *status)
{
    (void)from, (void)tag, (void)comm, (void)status;
    *there = 0;
    return MPI_SUCCESS;
}

const struct mpi_calls calls_of_one_rank = {
    .Init_thread = alone_init_thread,
    .Finalize = alone_finalize,
    .Abort = alone_abort,
    .Get_processor_name = alone_name,
    .Comm_rank = alone_rank,
    .Comm_size = alone_size,
    .Comm_split = alone_split,
    .Comm_split_type = alone_split_type,
    .Comm_free = alone_free,
    .Iallgather = alone_allgather,
    .Igather = alone_gather,
    .Iallreduce = alone_allreduce,
    .Ibcast = alone_bcast,
    .Test = alone_test,
    .Send = alone_send,
    .Recv = alone_recv,
    .Iprobe = alone_probe,
};
