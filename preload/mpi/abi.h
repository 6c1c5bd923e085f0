/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abi.h - the MPI types and constants that fastimport and python-mpi-bcast use, for any ABI of the program's library.
 *
 * A handle is an int in the MPICH ABI (www.mpich.org/abi), and a pointer in Open MPI and in the
 * standard ABI (MPI-5.0, chapter 20). Here it is a uintptr_t, which is always initialised as a
 * whole before the library writes into it. Passed by value it is in the same register as an int;
 * written through a pointer, an int fills its low half. That holds on little-endian machines only.
 * No arrays of handles are passed. bind.c sets the constants, once, in mpi_bind().
 */
#ifndef FASTIMPORT_MPI_ABI_H
#define FASTIMPORT_MPI_ABI_H

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an int fills the low half of a handle");

typedef uintptr_t MPI_Comm, MPI_Group, MPI_Info, MPI_Request, MPI_Datatype, MPI_Op, MPI_Session,
    MPI_Errhandler;

/* The largest MPI_Status of a known library has 32 bytes. Only MPI_Get_count looks into it. */
typedef struct {
    _Alignas(16) char bytes[64];
} MPI_Status;

struct mpi_constants {
    const char *abi;
    MPI_Comm comm_world, comm_null;
    MPI_Info info_null;
    MPI_Request request_null;
    MPI_Datatype byte, integer;
    MPI_Op max;
    MPI_Errhandler errors_return;
    int any_source, thread_multiple, comm_type_shared;
    MPI_Op sum, min;
    int thread_funneled;
};

extern struct mpi_constants mpi_is;

#define MPI_COMM_WORLD       mpi_is.comm_world
#define MPI_COMM_NULL        mpi_is.comm_null
#define MPI_INFO_NULL        mpi_is.info_null
#define MPI_REQUEST_NULL     mpi_is.request_null
#define MPI_BYTE             mpi_is.byte
#define MPI_INT              mpi_is.integer
#define MPI_MAX              mpi_is.max
#define MPI_ERRORS_RETURN    mpi_is.errors_return
#define MPI_ANY_SOURCE       mpi_is.any_source
#define MPI_THREAD_MULTIPLE  mpi_is.thread_multiple
#define MPI_COMM_TYPE_SHARED mpi_is.comm_type_shared
#define MPI_SUM              mpi_is.sum
#define MPI_MIN              mpi_is.min
#define MPI_THREAD_FUNNELED  mpi_is.thread_funneled

/* These are the same in all ABIs. Of error codes only "is it MPI_SUCCESS?" matters. */
enum {
    MPI_SUCCESS = 0,
    MPI_THREAD_SINGLE = 0,
    MPI_ERR_OTHER = 15,
    MPI_ERR_NO_MEM = 34,
    MPI_MAX_LIBRARY_VERSION_STRING = 8192, /* the largest of all libraries: Open MPI's is 256 */
};

#endif
