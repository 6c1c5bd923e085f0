/* SPDX-License-Identifier: BSD-3-Clause */
/* role: from fake environments. This program exports Py_Initialize (by -rdynamic), so it is a
 * Python to fastimport. */
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/role.h"

void Py_Initialize(void);
void Py_Initialize(void)
{
}

static const char *const launchers[] = {
    "PMI_RANK",    "PMIX_RANK",          "OMPI_COMM_WORLD_RANK", "MPIRUN_RANK", "PALS_RANKID",
    "ALPS_APP_PE", "JSM_NAMESPACE_RANK", "FLUX_TASK_RANK",       "SLURM_PROCID"};

static int role_forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        unsetenv(launchers[i]);
    }
    unsetenv("SLURM_STEP_ID");
    unsetenv("PMI_SPAWNED");
    unsetenv("OMPI_PARENT_PORT");
    unsetenv("FASTIMPORT");
    unsetenv(ROLE_NODE_VARIABLE);
    return setenv("LD_PRELOAD", "libfastimport.so", 1);
}

/* /etc/ld.so.preload brings the library into what su(1) starts, and the variables are another
 * user's. */
static void is_passive_without_ld_preload(void **state)
{
    (void)state;
    setenv("PMI_RANK", "0", 1);
    assert_int_equal(role_decide().role, ROLE_RANK);
    setenv(ROLE_NODE_VARIABLE, "12:1f:2a:/dev/shm/x", 1);
    assert_int_equal(role_decide().role, ROLE_ATTACHED);
    setenv("LD_PRELOAD", "", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    unsetenv("LD_PRELOAD");
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    unsetenv(ROLE_NODE_VARIABLE);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    setenv("LD_PRELOAD", "libfastimport.so", 1);
    assert_int_equal(role_decide().role, ROLE_RANK);
}

static void is_passive_without_a_launcher(void **state)
{
    struct role_facts f = role_decide();

    (void)state;
    assert_int_equal(f.role, ROLE_PASSIVE);
    assert_int_equal(f.rank, -1);
    assert_true(f.is_alone);
    setenv(ROLE_NODE_VARIABLE, "0", 1); /* below a rank that is not served */
    assert_false(role_decide().is_alone);
    unsetenv(ROLE_NODE_VARIABLE);
    setenv("PMI_RANK", "0", 1);
    assert_false(role_decide().is_alone);
}

static void knows_launchers_by_their_names(void **state)
{
    static const char *const names[] = {"mpiexec", "mpiexec.hydra", "mpirun", "srun",
                                        "aprun",   "jsrun",         "flux"};
    static const char *const others[] = {"hydra_pmi_proxy", "mpiexecutor", "bash", "srund", ""};
    char *own = program_invocation_short_name;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        program_invocation_short_name = (char *)names[i];
        assert_int_equal(role_decide().role, ROLE_LAUNCHER);
    }
    setenv(ROLE_NODE_VARIABLE, "12:1f:2a:/dev/shm/x", 1); /* in a rank of another job */
    assert_int_equal(role_decide().role, ROLE_LAUNCHER);
    unsetenv(ROLE_NODE_VARIABLE);
    setenv("FASTIMPORT", "0", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    unsetenv("FASTIMPORT");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        program_invocation_short_name = (char *)others[i];
        assert_int_equal(role_decide().role, ROLE_PASSIVE);
    }
    program_invocation_short_name = own;
}

static void is_a_rank_under_each_launcher(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        struct role_facts f;

        role_forget(NULL);
        setenv(launchers[i], "12", 1);
        setenv("SLURM_STEP_ID", "0", 1);
        f = role_decide();
        assert_int_equal(f.role, ROLE_RANK);
        assert_int_equal(f.rank, 12);
        assert_true(f.is_python);
        setenv(launchers[i], "none", 1);
        assert_int_equal(role_decide().role, ROLE_PASSIVE);
    }
}

static void knows_how_many_ranks_there_are(void **state)
{
    (void)state;
    setenv("SLURM_PROCID", "2", 1);
    setenv("SLURM_STEP_ID", "0", 1);
    assert_true(role_decide().size <= 0);
    setenv("SLURM_NTASKS", "5", 1);
    assert_int_equal(role_decide().size, 5);
    setenv("SLURM_STEP_NUM_TASKS", "4", 1); /* of the step, the other may be the job's */
    assert_int_equal(role_decide().size, 4);
    setenv("PMI_RANK", "0", 1); /* of a launcher whose daemons are the step's tasks */
    assert_true(role_decide().size <= 0);
    setenv("PMI_SIZE", "2", 1);
    assert_int_equal(role_decide().size, 2);
    assert_int_equal(role_decide().rank, 0);
    setenv("PMI_SIZE", "many", 1);
    assert_true(role_decide().size <= 0);
    unsetenv("PMI_SIZE");
    unsetenv("SLURM_NTASKS");
    unsetenv("SLURM_STEP_NUM_TASKS");
}

static void is_passive_in_a_batch_script(void **state)
{
    (void)state;
    setenv("SLURM_PROCID", "0", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    setenv("SLURM_STEP_ID", "0", 1);
    assert_int_equal(role_decide().role, ROLE_RANK);
}

static void is_passive_where_mpi_has_spawned_it(void **state)
{
    (void)state;
    setenv("PMI_RANK", "1", 1);
    setenv("PMI_SPAWNED", "0", 1);
    assert_int_equal(role_decide().role, ROLE_RANK);
    setenv("PMI_SPAWNED", "1", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    assert_true(role_decide().is_spawned);
    setenv(ROLE_NODE_VARIABLE, "12:1f:2a:/dev/shm/x", 1); /* a cache that is there is good */
    assert_int_equal(role_decide().role, ROLE_ATTACHED);
    assert_false(role_decide().is_spawned);
    role_forget(NULL);
    setenv("OMPI_COMM_WORLD_RANK", "1", 1);
    setenv("OMPI_PARENT_PORT", "123.0;tcp://...", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
}

static void isolates_its_children(void **state)
{
    (void)state;
    setenv("PMI_RANK", "1", 1);
    role_isolate();
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    assert_false(role_decide().was_rank);
}

static void is_passive_when_switched_off(void **state)
{
    (void)state;
    setenv("PMI_RANK", "0", 1);
    setenv("FASTIMPORT", "0", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    setenv(ROLE_NODE_VARIABLE, "12:1f:2a:/dev/shm/x", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    setenv("FASTIMPORT", "1", 1);
    assert_int_equal(role_decide().role, ROLE_ATTACHED);
}

static void is_attached_below_a_rank(void **state)
{
    char value[64];
    struct role_facts f;

    (void)state;
    setenv("PMI_RANK", "3", 1);
    setenv(ROLE_NODE_VARIABLE, "1:deadbeef01234567:fedcba9876543210:/dev/shm/fastimport-0-x", 1);
    f = role_decide();
    assert_int_equal(f.role, ROLE_ATTACHED);
    assert_int_equal(f.nonce, 0xdeadbeef01234567);
    assert_int_equal(f.fs_view, 0xfedcba9876543210);
    assert_string_equal(f.node, "/dev/shm/fastimport-0-x");
    assert_false(f.was_rank);
    snprintf(value, sizeof value, "%d:1:0:/dev/shm/x",
             (int)getpid()); /* it has replaced itself by exec */
    setenv(ROLE_NODE_VARIABLE, value, 1);
    f = role_decide();
    assert_int_equal(f.role, ROLE_ATTACHED);
    assert_true(f.was_rank);
}

/* There is no cache: a child is nothing, the rank's own successor must know what it was. */
static void is_attached_to_nothing(void **state)
{
    char value[64];
    struct role_facts f;

    (void)state;
    setenv("PMI_RANK", "3", 1);
    setenv(ROLE_NODE_VARIABLE, "1", 1);
    assert_int_equal(role_decide().role, ROLE_PASSIVE);
    snprintf(value, sizeof value, "%d", (int)getpid());
    setenv(ROLE_NODE_VARIABLE, value, 1);
    f = role_decide();
    assert_int_equal(f.role, ROLE_ATTACHED);
    assert_true(f.was_rank);
    assert_null(f.node);
}

static void distrusts_a_bad_node_variable(void **state)
{
    static const char *const bad[] = {"",
                                      ":",
                                      "12",
                                      "12:",
                                      "12:1f",
                                      "12:1f:2a",
                                      "12:1f:/dev/x",
                                      "12:1f:2a:relative",
                                      "x:1f:2a:/dev/x",
                                      "12:x:2a:/dev/x",
                                      "12:1f:x:/dev/x",
                                      "1f:/dev/x",
                                      "12:1f;2a:/dev/x",
                                      "12:1f:2a;/dev/x"};

    (void)state;
    setenv("PMI_RANK", "0", 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv(ROLE_NODE_VARIABLE, bad[i], 1);
        assert_int_equal(role_decide().role, ROLE_PASSIVE); /* a child of a rank never speaks MPI */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(is_passive_without_a_launcher, role_forget),
        cmocka_unit_test_setup(is_passive_without_ld_preload, role_forget),
        cmocka_unit_test_setup(knows_launchers_by_their_names, role_forget),
        cmocka_unit_test_setup(is_a_rank_under_each_launcher, role_forget),
        cmocka_unit_test_setup(knows_how_many_ranks_there_are, role_forget),
        cmocka_unit_test_setup(is_passive_in_a_batch_script, role_forget),
        cmocka_unit_test_setup(is_passive_where_mpi_has_spawned_it, role_forget),
        cmocka_unit_test_setup(isolates_its_children, role_forget),
        cmocka_unit_test_setup(is_passive_when_switched_off, role_forget),
        cmocka_unit_test_setup(is_attached_below_a_rank, role_forget),
        cmocka_unit_test_setup(is_attached_to_nothing, role_forget),
        cmocka_unit_test_setup(distrusts_a_bad_node_variable, role_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
