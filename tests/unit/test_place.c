/* mpi/place: what stands between the launcher's daemon, played by this process, and a rank. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mpi/place.h"

enum { BELOW, NOT_BELOW, BELOW_ANOTHER };

static int look(void *expected)
{
    char shell[16] = "";

    if (!place_below_shell(shell, sizeof shell)) {
        return NOT_BELOW;
    }
    return strcmp(shell, expected) == 0 ? BELOW : BELOW_ANOTHER;
}

/* A process of this name starts the next: names end with NULL. */
static int go_down(void *argument)
{
    const char **names = argument;

    if (names[1] == NULL) {
        return look((void *)names[0]);
    }
    prctl(PR_SET_NAME, names[1]);
    names[1] = names[0];
    return in_child(go_down, names + 1);
}

/* expected, and the processes between the daemon and the rank. */
static int below(const char *expected, const char *first, const char *second)
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
    assert_int_equal(below("bash", "bash", NULL), BELOW);
    assert_int_equal(below("sh", "sh", "timeout"), BELOW);
    assert_int_equal(below("a) R 1", "a) R 1", "dash"), BELOW_ANOTHER);
}

static void sees_none(void **state)
{
    (void)state;
    give_slot();
    assert_int_equal(below("", NULL, NULL), NOT_BELOW);
    assert_int_equal(below("", "timeout", "env"), NOT_BELOW);
    assert_int_equal(below("", "bashful", ") S 1 sh"), NOT_BELOW);
}

static void looks_no_further_than_the_daemon(void **state)
{
    char own[16];

    (void)state;
    prctl(PR_GET_NAME, own);
    prctl(PR_SET_NAME, "sh");
    give_slot();
    assert_int_equal(below("", "numactl", NULL), NOT_BELOW);
    unsetenv("PMI_FD"); /* unknown */
    assert_int_equal(below("", "bash", NULL), NOT_BELOW);
    prctl(PR_SET_NAME, own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_a_shell_above),
        cmocka_unit_test(sees_none),
        cmocka_unit_test(looks_no_further_than_the_daemon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
