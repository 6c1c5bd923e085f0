/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi/place: what stands between the launcher's daemon, played by this process, and a rank. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mpi/launcher_shell.h"
#include "mpi/node_id.h"

enum { BELOW, NOT_BELOW, BELOW_ANOTHER };

static int place_look(void *expected)
{
    char shell[16] = "";

    if (!launcher_shell_above(shell, sizeof shell)) {
        return NOT_BELOW;
    }
    return strcmp(shell, expected) == 0 ? BELOW : BELOW_ANOTHER;
}

/* A process of this name starts the next: names end with NULL. */
static int go_down(void *argument)
{
    const char **names = argument;

    if (names[1] == NULL) {
        return place_look((void *)names[0]);
    }
    prctl(PR_SET_NAME, names[1]);
    names[1] = names[0];
    return in_child(go_down, names + 1);
}

/* expected, and the processes between the daemon and the rank. */
static int place_below(const char *expected, const char *first, const char *second)
{
    const char *names[] = {expected, first, second, NULL};

    return in_child(go_down, names);
}

static void give_slot(void)
{
    char number[16];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(number, sizeof number, "%d", pair[0]);
    setenv("PMI_FD", number, 1);
}

static void sees_a_shell_above(void **state)
{
    (void)state;
    give_slot();
    assert_int_equal(place_below("bash", "bash", NULL), BELOW);
    assert_int_equal(place_below("sh", "sh", "timeout"), BELOW);
    assert_int_equal(place_below("a) R 1", "a) R 1", "dash"), BELOW_ANOTHER);
}

static void sees_none(void **state)
{
    (void)state;
    give_slot();
    assert_int_equal(place_below("", NULL, NULL), NOT_BELOW);
    assert_int_equal(place_below("", "timeout", "env"), NOT_BELOW);
    assert_int_equal(place_below("", "bashful", ") S 1 sh"), NOT_BELOW);
}

static void looks_no_further_than_the_daemon(void **state)
{
    char own[16];

    (void)state;
    prctl(PR_GET_NAME, own);
    prctl(PR_SET_NAME, "sh");
    give_slot();
    assert_int_equal(place_below("", "numactl", NULL), NOT_BELOW);
    unsetenv("PMI_FD"); /* unknown */
    assert_int_equal(place_below("", "bash", NULL), NOT_BELOW);
    prctl(PR_SET_NAME, own);
}

static void knows_the_daemon(void **state)
{
    uint64_t key = 0, again = 1;
    pid_t daemon = 0;

    (void)state;
    give_slot();
    assert_true(launcher_daemon_id(&daemon, &key));
    assert_int_equal(daemon, getpid());
    assert_true(launcher_daemon_id(&daemon, &again));
    assert_true(key == again);
    unsetenv("PMI_FD");
    assert_false(launcher_daemon_id(&daemon, &key));
}

static int ranks_of_this(int expected_rank)
{
    int rank = -1;
    int n = launcher_local_ranks(getpid(), &rank);

    assert_true(n == 0 || rank == expected_rank);
    return n;
}

static void knows_the_number_of_ranks(void **state)
{
    static const char *const variables[][2] = {
        {"PALS_LOCAL_SIZE", "PALS_LOCAL_RANKID"},
        {"PMI_LOCAL_SIZE", "PMI_LOCAL_RANK"},
        {"JSM_NAMESPACE_LOCAL_SIZE", "JSM_NAMESPACE_LOCAL_RANK"},
        {"MPI_LOCALNRANKS", "MPI_LOCALRANKID"}};
    static const char *const bad[] = {"", "0", "-3", "x", "99999999999999999999"};

    (void)state;
    setenv("SLURM_STEP_TASKS_PER_NODE", "1(x3)", 1); /* of the step in which the daemons run */
    setenv("SLURM_NODEID", "0", 1);
    setenv("SLURM_LOCALID", "0", 1);
    assert_int_equal(ranks_of_this(0), 0);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        setenv(variables[i][0], "40", 1);
        assert_int_equal(ranks_of_this(0), 0); /* which of them? */
        setenv(variables[i][1], "39", 1);
        assert_int_equal(ranks_of_this(39), 40);
        setenv(variables[i][1], "40", 1);
        assert_int_equal(ranks_of_this(0), 0);
        setenv(variables[i][1], "0", 1);
        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++) {
            setenv(variables[i][0], bad[j], 1);
            assert_int_equal(ranks_of_this(0), 0);
        }
        unsetenv(variables[i][0]);
        unsetenv(variables[i][1]);
    }
}

static void knows_the_number_of_tasks_of_slurm(void **state)
{
    static const struct {
        const char *list, *node;
        int n;
    } cases[] = {
        {"3", "0", 3},       {"3", "1", 0},       {"2(x3),1", "0", 2},    {"2(x3),1", "2", 2},
        {"2(x3),1", "3", 1}, {"2(x3),1", "4", 0}, {"4,2,16(x2)", "1", 2}, {"4,2,16", "2", 16},
        {"", "0", 0},        {"x", "0", 0},       {"2(x", "0", 0},        {"2(x0),1", "0", 0},
        {"2;3", "1", 0},     {"2(x3)1", "3", 0},  {"2,", "1", 0},         {"2", "-1", 0}};
    char own[16];
    char shown[64] = "";

    (void)state;
    prctl(PR_GET_NAME, own);
    prctl(PR_SET_NAME, "slurmstepd");
    process_parent(getpid(), shown, sizeof shown);
    if (strcmp(shown, "slurmstepd") != 0) {
        skip(); /* qemu's user mode shows argv[0] */
    }
    setenv("MPI_LOCALNRANKS", "7", 1); /* of another launcher, about this one */
    setenv("MPI_LOCALRANKID", "6", 1);
    setenv("SLURM_LOCALID", "0", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("SLURM_STEP_TASKS_PER_NODE", cases[i].list, 1);
        setenv("SLURM_NODEID", cases[i].node, 1);
        assert_int_equal(ranks_of_this(0), cases[i].n);
    }
    unsetenv("SLURM_NODEID");
    assert_int_equal(ranks_of_this(0), 0);
    prctl(PR_SET_NAME, own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_a_shell_above),
        cmocka_unit_test(sees_none),
        cmocka_unit_test(looks_no_further_than_the_daemon),
        cmocka_unit_test(knows_the_daemon),
        cmocka_unit_test(knows_the_number_of_ranks),
        cmocka_unit_test(knows_the_number_of_tasks_of_slurm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
