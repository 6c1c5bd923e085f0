/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sharedfs_state.c - tests the clocks and the counters of the emulated server, without FUSE. Each
 * test gives the start times itself, so that the results do not depend on the machine.
 */
#include "state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { US = 1000, THREADS = 4, PER_THREAD = 1000 };

static const uint64_t start = 1000000000000ull;
static const struct sfs_costs costs = {
    .rtt_ns = 200 * US, .meta_ns = 50 * US, .bytes_per_second = 100000000};

static char path[] = "/tmp/sharedfs-state-XXXXXX";

static int make_state(void **state)
{
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    *state = sfs_state_map(path, 1);
    return *state != NULL ? 0 : -1;
}

static int remove_state(void **state)
{
    (void)state;
    return unlink(path);
}

static uint64_t due(struct sfs_state *s, enum sfs_op op, uint64_t bytes, uint64_t at)
{
    return (sfs_state_reserve(s, &costs, op, bytes, start + at * US) - start) / US;
}

static void idle_server_costs_round_trip_and_service(void **state)
{
    assert_int_equal(due(*state, SFS_OP_lookup, 0, 0), 250);
    assert_int_equal(due(*state, SFS_OP_lookup, 0, 10000), 10250);
}

static void requests_at_once_queue(void **state)
{
    for (uint64_t n = 1; n <= 5; n++) {
        assert_int_equal(due(*state, SFS_OP_getattr, 0, 0), 200 + 50 * n);
    }
}

static void all_mappings_share_one_queue(void **state)
{
    struct sfs_state *other = sfs_state_map(path, 0);
    assert_non_null(other);
    assert_ptr_not_equal(other, *state);
    assert_int_equal(due(*state, SFS_OP_open, 0, 0), 250);
    assert_int_equal(due(other, SFS_OP_open, 0, 0), 300);
}

static void data_uses_the_link_not_the_server(void **state)
{
    assert_int_equal(due(*state, SFS_OP_read, 100000, 0), 1200);
    assert_int_equal(due(*state, SFS_OP_write, 100000, 0), 2200);
    assert_int_equal(due(*state, SFS_OP_lookup, 0, 0), 250);
}

static void local_operations_are_free(void **state)
{
    assert_int_equal(due(*state, SFS_OP_release, 0, 7), 7);
    assert_int_equal(due(*state, SFS_OP_xattr, 0, 7), 7);
    assert_int_equal(due(*state, SFS_OP_lookup, 0, 0), 250);
}

static void zero_costs_only_count(void **state)
{
    static const struct sfs_costs none = {0};
    assert_int_equal(sfs_state_reserve(*state, &none, SFS_OP_lookup, 0, start), start);
    assert_int_equal(sfs_state_reserve(*state, &none, SFS_OP_read, 1 << 20, start), start);
}

static void clock_of_an_earlier_boot_is_ignored(void **state)
{
    struct sfs_state *s = *state;
    s->meta_free = start + 86400ull * 1000000 * US;
    assert_int_equal(due(s, SFS_OP_lookup, 0, 0), 250);
}

static void *reserve_many(void *arg)
{
    for (int i = 0; i < PER_THREAD; i++) {
        sfs_state_reserve(arg, &costs, SFS_OP_lookup, 0, start);
        sfs_state_count(arg, 1, SFS_OP_lookup, 0);
    }
    return NULL;
}

static void no_turn_is_given_twice(void **state)
{
    pthread_t threads[THREADS];
    struct sfs_state *s = *state;

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reserve_many, s), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(s->node[1].op[SFS_OP_lookup], THREADS * PER_THREAD);
    assert_int_equal(due(s, SFS_OP_lookup, 0, 0), 200 + 50 * (THREADS * PER_THREAD + 1));
}

static void statistics_add_up(void **state)
{
    char text[8192] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    sfs_state_count(*state, 0, SFS_OP_lookup, 0);
    sfs_state_count(*state, 3, SFS_OP_open, 0);
    sfs_state_count(*state, 3, SFS_OP_read, 4096);
    sfs_state_count(*state, 3, SFS_OP_release, 0);
    sfs_state_print(*state, out);
    fclose(out);
    assert_non_null(strstr(text, "{\"metadata_ops\": 2, \"read_bytes\": 4096, \"write_bytes\": 0"));
    assert_non_null(strstr(text, "{\"node\": 3, \"metadata_ops\": 1, \"read_bytes\": 4096"));
    sfs_state_reset(*state);
    assert_int_equal(((struct sfs_state *)*state)->node[3].read_bytes, 0);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    assert_int_equal(truncate(path, 100), 0);
    assert_null(sfs_state_map(path, 1));
    assert_int_equal(errno, EINVAL);
    assert_null(sfs_state_map("/nonexistent/state", 0));
    assert_int_equal(errno, ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_state, remove_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(idle_server_costs_round_trip_and_service),
        TEST(requests_at_once_queue),
        TEST(all_mappings_share_one_queue),
        TEST(data_uses_the_link_not_the_server),
        TEST(local_operations_are_free),
        TEST(zero_costs_only_count),
        TEST(clock_of_an_earlier_boot_is_ignored),
        TEST(no_turn_is_given_twice),
        TEST(statistics_add_up),
        TEST(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
