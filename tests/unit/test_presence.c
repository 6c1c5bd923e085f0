/* SPDX-License-Identifier: BSD-3-Clause */
/* mpi/presence: the ranks of a node, played by children of this process, count each other. */
#include "scratch.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/node.h"
#include "mpi/presence.h"

enum { KEY = 0xabc, PATIENT_MS = 30000 };

enum answer { ALL_HERE, SOME_MISSING };

static enum answer count_presence(int rank, int ranks, uint64_t limit_ms)
{
    struct presence in = {scratch(), KEY, (int)getppid(), ranks, rank, limit_ms};

    return presence_count(&in) ? ALL_HERE : SOME_MISSING;
}

/* A rank goes on for a second after its answer: the others see its locks. */
static pid_t presence_start(int rank, int ranks, uint64_t limit_ms)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        enum answer answer = count_presence(rank, ranks, limit_ms);

        poll(NULL, 0, 1000);
        presence_done();
        _exit(answer);
    }
    return pid;
}

static enum answer answer_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return (enum answer)WEXITSTATUS(status);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *presence_file_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "fastimport-%u-%016x.ranks", (unsigned)getuid(), KEY);
    return name;
}

static void all_ranks_are_here(void **state)
{
    enum { RANKS = 8 };
    pid_t pids[RANKS];

    (void)state;
    capture_begin();
    for (int i = 0; i < RANKS; i++) {
        pids[i] = presence_start(i, RANKS, PATIENT_MS);
        poll(NULL, 0, i == RANKS - 2 ? 300 : 0); /* one that is late */
    }
    for (int i = 0; i < RANKS; i++) {
        assert_int_equal(answer_of(pids[i]), ALL_HERE);
    }
    assert_string_equal(capture_end(), "");
    assert_int_equal(scratch_count("."), 0);
}

/* All at once, again and again: one sees the last come before that one itself has looked. */
static void many_times(void **state)
{
    enum { RANKS = 6, TIMES = 300 };

    (void)state;
    capture_begin();
    for (int i = 0; i < TIMES; i++) {
        pid_t pids[RANKS];
        int until[2];

        assert_int_equal(pipe(until), 0);
        for (int r = 0; r < RANKS; r++) {
            pids[r] = fork();
            if (pids[r] == 0) {
                struct pollfd end_of_all = {.fd = until[0], .events = POLLIN};
                enum answer answer = count_presence(r, RANKS, 2000);

                close(until[1]);
                poll(&end_of_all, 1, 2000); /* until all have their answer */
                _exit(answer);
            }
        }
        close(until[1]);
        close(until[0]);
        for (int r = 0; r < RANKS; r++) {
            assert_int_equal(answer_of(pids[r]), ALL_HERE);
        }
    }
    assert_string_equal(capture_end(), "");
    assert_int_equal(scratch_count("."), 0);
}

static void one_never_comes(void **state)
{
    pid_t first, second;
    const char *said;

    (void)state;
    capture_begin();
    first = presence_start(0, 3, 300);
    second = presence_start(1, 3, PATIENT_MS); /* it hears of it from the other */
    assert_int_equal(answer_of(first), SOME_MISSING);
    assert_int_equal(answer_of(second), SOME_MISSING);
    said = capture_end();
    assert_int_equal(occurrences(said, "fastimport: "), 1);
    assert_int_equal(occurrences(said, "1 of the 3 ranks of this node are missing"), 1);
    assert_int_equal(occurrences(said, "within 300 ms"), 1);
    assert_int_equal(scratch_count("."), 0);
}

/* Who comes after the others have given up counts anew. */
static void one_comes_too_late(void **state)
{
    (void)state;
    capture_begin();
    assert_int_equal(answer_of(presence_start(0, 2, 50)), SOME_MISSING);
    assert_int_equal(answer_of(presence_start(1, 2, 50)), SOME_MISSING);
    capture_end();
    assert_int_equal(scratch_count("."), 0);
}

/* A program under this name that sleeps; waits until it runs. */
static pid_t run_as(const char *name)
{
    char exe[4200] = "";
    char link[64];
    const char *path = scratch_path(name);
    pid_t pid;

    scratch_write(name, "", 0, 0700);
    unlink(path);
    assert_true(snprintf(exe, sizeof exe, "cp /bin/sleep %s/%s", scratch(), name) > 0);
    assert_int_equal(system(exe), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl(path, name, "30", NULL);
        _exit(127);
    }
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    for (int i = 0; i < 500; i++) {
        ssize_t n = readlink(link, exe, sizeof exe - 1);

        exe[n < 0 ? 0 : n] = '\0';
        if (strcmp(exe, path) == 0) {
            return pid;
        }
        poll(NULL, 0, 10);
    }
    fail_msg("%s does not run", path);
    return pid;
}

static void presence_end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_python_without_us_is_seen(void **state)
{
    double start_time = now();
    pid_t other;
    const char *said;

    (void)state;
    capture_begin();
    other = run_as("python3.99");
    assert_int_equal(answer_of(presence_start(0, 2, PATIENT_MS)), SOME_MISSING);
    presence_end(other);
    said = capture_end();
    assert_int_equal(occurrences(said, "1 of the 2 ranks of this node run without"), 1);
    assert_true(now() - start_time < PATIENT_MS / 2000.0);
    assert_false(scratch_has(presence_file_name()));
}

/* It may start a Python yet: not before the limit, which is later than the first look. */
static void a_shell_is_waited_for(void **state)
{
    pid_t other;
    const char *said;

    (void)state;
    capture_begin();
    other = run_as("bash");
    assert_int_equal(answer_of(presence_start(0, 2, 3500)), SOME_MISSING);
    presence_end(other);
    said = capture_end();
    assert_int_equal(occurrences(said, "within 3500 ms"), 1);
}

static int wait_below_a_wrapper(void *unused)
{
    struct presence in = {scratch(), KEY, (int)getppid(), 2, 0, 3500};
    pid_t pid = fork();

    (void)unused;
    if (pid == 0) {
        _exit(presence_count(&in) ? ALL_HERE : SOME_MISSING);
    }
    return (int)answer_of(pid);
}

/* Below a wrapper, that of another rank may be a Python. */
static void a_wrapper_is_waited_for(void **state)
{
    pid_t other;
    const char *said;

    (void)state;
    capture_begin();
    other = run_as("python3.99");
    assert_int_equal(in_child(wait_below_a_wrapper, NULL), SOME_MISSING);
    presence_end(other);
    said = capture_end();
    assert_int_equal(occurrences(said, "within 3500 ms"), 1);
}

static void one_has_ended(void **state)
{
    double start_time = now();
    const char *said;
    pid_t zombie;

    (void)state;
    capture_begin();
    zombie = fork();
    if (zombie == 0) {
        _exit(0);
    }
    assert_int_equal(answer_of(presence_start(0, 2, PATIENT_MS)), SOME_MISSING);
    waitpid(zombie, NULL, 0);
    said = capture_end();
    assert_int_equal(occurrences(said, "1 of the 2 ranks of this node have ended"), 1);
    assert_true(now() - start_time < PATIENT_MS / 2000.0);
}

static void counts_in_nobody_elses_file(void **state)
{
    struct stat st;

    (void)state;
    scratch_text("victim", "precious");
    assert_int_equal(symlink(scratch_path("victim"), scratch_path(presence_file_name())), 0);
    assert_int_equal(count_presence(1, 2, PATIENT_MS), ALL_HERE); /* not known */
    assert_int_equal(unlink(scratch_path(presence_file_name())), 0);
    assert_int_equal(mkfifo(scratch_path(presence_file_name()), 0600), 0);
    assert_int_equal(count_presence(1, 2, PATIENT_MS), ALL_HERE);
    assert_int_equal(unlink(scratch_path(presence_file_name())), 0);
    scratch_write(presence_file_name(), "", 0, 0666);
    assert_int_equal(chmod(scratch_path(presence_file_name()), 0666), 0);
    assert_int_equal(count_presence(1, 2, PATIENT_MS), ALL_HERE);
    assert_int_equal(unlink(scratch_path(presence_file_name())), 0);
    assert_int_equal(link(scratch_path("victim"), scratch_path(presence_file_name())), 0);
    assert_int_equal(count_presence(1, 2, PATIENT_MS), ALL_HERE);
    assert_int_equal(stat(scratch_path("victim"), &st), 0);
    assert_int_equal(st.st_size, strlen("precious"));
}

static void no_place_to_count(void **state)
{
    struct presence in = {"/nosuch", KEY, 1, 2, 0, PATIENT_MS};

    (void)state;
    assert_true(presence_count(&in));
}

/* One that was killed before the last has come is not here. */
static void the_killed_do_not_count(void **state)
{
    pid_t victim;

    (void)state;
    capture_begin();
    victim = presence_start(0, 2, PATIENT_MS);
    for (int i = 0; i < 500 && !scratch_has(presence_file_name()); i++) {
        poll(NULL, 0, 10);
    }
    poll(NULL, 0, 100);
    presence_end(victim);
    assert_int_equal(answer_of(presence_start(1, 2, 300)), SOME_MISSING);
    capture_end();
    assert_int_equal(scratch_count("."), 0);
}

/* A job that was killed while it counted; one that counts. */
static void the_sweep_takes_what_nobody_holds(void **state)
{
    pid_t waits;

    (void)state;
    scratch_write(presence_file_name(), "", 0, 0600);
    assert_int_equal(node_sweep(scratch()), 1);
    assert_false(scratch_has(presence_file_name()));
    capture_begin();
    waits = presence_start(0, 2, PATIENT_MS);
    for (int i = 0; i < 500 && !scratch_has(presence_file_name()); i++) {
        poll(NULL, 0, 10);
    }
    poll(NULL, 0, 100);
    assert_int_equal(node_sweep(scratch()), 0);
    assert_int_equal(count_presence(1, 2, PATIENT_MS), ALL_HERE);
    assert_int_equal(answer_of(waits), ALL_HERE);
    presence_done();
    capture_end();
    assert_int_equal(scratch_count("."), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(all_ranks_are_here),
        scratch_test(many_times),
        scratch_test(one_never_comes),
        scratch_test(one_comes_too_late),
        scratch_test(a_python_without_us_is_seen),
        scratch_test(a_shell_is_waited_for),
        scratch_test(a_wrapper_is_waited_for),
        scratch_test(one_has_ended),
        scratch_test(counts_in_nobody_elses_file),
        cmocka_unit_test(no_place_to_count),
        scratch_test(the_killed_do_not_count),
        scratch_test(the_sweep_takes_what_nobody_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
