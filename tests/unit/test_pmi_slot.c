/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi/slot: one MPI process at a time and only once; a last word to the launcher. */
#include "scratch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/protected_fd.h"
#include "mpi/pmi_slot.h"

static int slot_forget(void **state)
{
    (void)state;
    return unsetenv("PMI_FD");
}

static int claim_slot(void *unused)
{
    (void)unused;
    return slot_claim() ? 0 : 1;
}

static void claims_its_slot_once(void **state)
{
    char number[16];
    int pair[2];

    (void)state;
    assert_true(slot_claim()); /* a launcher without PMI_FD */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(number, sizeof number, "%d", pair[0]);
    setenv("PMI_FD", number, 1);
    assert_int_equal(close(pair[1]), 0); /* the launcher is through with this slot */
    assert_false(slot_claim());
    close(pair[0]);
    assert_false(slot_claim()); /* no descriptor at all */
}

static void excludes_a_second_process(void **state)
{
    char number[16];
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    if (lockf(pair[0], F_TEST, 0) != 0) { /* some kernels of containers have none on sockets */
        skip();
    }
    snprintf(number, sizeof number, "%d", pair[0]);
    setenv("PMI_FD", number, 1);
    assert_int_equal(in_child(claim_slot, NULL), 0); /* free again when that one is gone */
    assert_true(slot_claim());
    assert_true(slot_claim());
    assert_int_equal(in_child(claim_slot, NULL), 1);
    close(pair[0]);
    close(pair[1]);
}

/* PMI_FD is left from an earlier job. */
static void leaves_stale_descriptors_alone(void **state)
{
    static const char *const numbers[] = {"0", "1", "2", "none", "-1", "99999999999"};
    char number[16];
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    snprintf(number, sizeof number, "%d", fileno(file));
    setenv("PMI_FD", number, 1);
    assert_false(slot_claim());
    assert_int_equal(protected_fd_find(fileno(file)), -1);
    fclose(file);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        setenv("PMI_FD", numbers[i], 1);
        assert_false(slot_claim());
    }
    assert_int_equal(protected_fd_find(0), -1);
}

static void *play_launcher(void *fd)
{
    char line[64] = "";

    if (read(*(int *)fd, line, sizeof line - 1) > 0 && strcmp(line, "cmd=finalize\n") == 0) {
        return write(*(int *)fd, "cmd=finalize_ack\n", 17) == 17 ? fd : NULL;
    }
    return NULL;
}

static void says_farewell_to_the_launcher(void **state)
{
    char number[16];
    char byte;
    int pair[2];
    pthread_t launcher;
    void *heard;

    (void)state;
    slot_finalize_after_exec(); /* no launcher */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(number, sizeof number, "%d", pair[0]);
    setenv("PMI_FD", number, 1);
    slot_prepare();
    assert_int_equal(pthread_create(&launcher, NULL, play_launcher, &pair[1]), 0);
    slot_finalize_after_exec();
    pthread_join(launcher, &heard);
    assert_non_null(heard);
    assert_true(recv(pair[0], &byte, 1, MSG_DONTWAIT) < 0); /* its answer was read */
    close(pair[1]);
    slot_finalize_after_exec(); /* it is gone: no signal, no wait */
    close(pair[0]);
}

/* The program has closed the descriptor, and its number is that of a socket of its own now. */
static void leaves_a_number_that_is_used_again(void **state)
{
    char number[16];
    char byte;
    int pair[2];
    int own[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, own), 0);
    snprintf(number, sizeof number, "%d", pair[0]);
    setenv("PMI_FD", number, 1);
    slot_prepare();
    assert_int_equal(dup2(own[0], pair[0]), pair[0]);
    slot_finalize();
    slot_finalize_after_exec();
    assert_true(recv(own[1], &byte, 1, MSG_DONTWAIT) < 0);
    close(pair[0]);
    slot_finalize();
    close(pair[1]);
    close(own[0]);
    close(own[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(claims_its_slot_once, slot_forget),
        cmocka_unit_test_setup(excludes_a_second_process, slot_forget),
        cmocka_unit_test_setup(leaves_stale_descriptors_alone, slot_forget),
        cmocka_unit_test_setup(says_farewell_to_the_launcher, slot_forget),
        cmocka_unit_test_setup(leaves_a_number_that_is_used_again, slot_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
