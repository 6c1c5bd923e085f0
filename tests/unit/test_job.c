/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi/job: a job of one rank asks MPI for nothing that needs another process. MPI is played by this
 * program: what a job may call alone succeeds, everything else fails the test. */
#include "scratch.h"

#include <string.h>

#include "mpi/bind.h"
#include "mpi/job.h"

static int trap(void)
{
    fail_msg("a function of MPI that makes progress was called");
    return MPI_ERR_OTHER;
}

static int succeed(void)
{
    return MPI_SUCCESS;
}

static int opened;

static int play_session_init(MPI_Info info, MPI_Errhandler handler, MPI_Session *session)
{
    (void)info;
    (void)handler;
    *session = 1;
    opened++;
    return MPI_SUCCESS;
}

static int play_session_finalize(MPI_Session *session)
{
    (void)session;
    opened--;
    return MPI_SUCCESS;
}

static int play_comm_create(MPI_Group group, const char *tag, MPI_Info info, MPI_Errhandler handler,
                            MPI_Comm *comm)
{
    (void)group;
    (void)tag;
    (void)info;
    (void)handler;
    *comm = 1;
    return MPI_SUCCESS;
}

static int play_rank(MPI_Comm comm, int *rank)
{
    (void)comm;
    *rank = 0;
    return MPI_SUCCESS;
}

static int play_size(MPI_Comm comm, int *size)
{
    (void)comm;
    *size = 1;
    return MPI_SUCCESS;
}

static void set(size_t offset, int (*function)(void))
{
    memcpy((char *)&mpi + offset, &function, sizeof function);
}

static int play(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof mpi; at += sizeof(void *)) {
        set(at, trap);
    }
    set(offsetof(struct mpi_functions, Info_create), succeed);
    set(offsetof(struct mpi_functions, Info_set), succeed);
    set(offsetof(struct mpi_functions, Info_free), succeed);
    set(offsetof(struct mpi_functions, Group_from_session_pset), succeed);
    set(offsetof(struct mpi_functions, Group_free), succeed);
    set(offsetof(struct mpi_functions, Comm_free), succeed);
    mpi.Session_init = play_session_init;
    mpi.Session_finalize = play_session_finalize;
    mpi.Comm_create_from_group = play_comm_create;
    mpi.Comm_rank = play_rank;
    mpi.Comm_size = play_size;
    return 0;
}

static void one_rank_opens_and_closes_without_traffic(void **state)
{
    static _Atomic bool lost;
    struct job_shutdown shutdown = {.mine = true, .limit_ns = 1, .lost = &lost};
    static struct job job; /* what it points to stays, as in a process of a job */
    char bytes[8] = "kept";
    int sum = 0;

    (void)state;
    assert_int_equal(job_open(&job, true), 0);
    assert_int_equal(job.size, 1);
    assert_int_equal(job.root, 0);
    assert_int_equal(job.node_size, 1);
    assert_int_equal(job.n_nodes, 1);
    assert_int_equal(job.leader, 0);
    assert_int_equal(job_share_node(&job, bytes, sizeof bytes), 0);
    assert_int_equal(job_share_all(&job, bytes, sizeof bytes), 0);
    assert_string_equal(bytes, "kept");
    assert_int_equal(job_sum_node(&job, 3, &sum), 0);
    assert_int_equal(sum, 3);
    assert_int_equal(job_poll_lost(&job, &lost), 0);
    assert_int_equal(job_shutdown_barrier(&job, &shutdown), 0);
    assert_true(shutdown.any);
    assert_int_equal(job_announce_exec(&job, &lost), 0);
    assert_int_equal(opened, 1);
    assert_int_equal(job_close(&job), 0);
    assert_int_equal(opened, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_rank_opens_and_closes_without_traffic, play),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
