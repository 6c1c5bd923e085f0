/* SPDX-License-Identifier: BSD-3-Clause */
/* broadcast/progress: marks of one segment that change in another one, in any number of pieces. */
#include "scratch.h"

#include <string.h>

#include "broadcast/progress.h"

enum { CAPACITY = 16 << 20 };

static struct segment root;
static struct segment node;
static struct progress progress;
static char message[2 * SEGMENT_CLAIMS];

static int progress_setup(void **state)
{
    memset(&progress, 0, sizeof progress);
    return scratch_setup(state) || segment_create(&root, scratch_path("root"), CAPACITY, 1, 1) ||
           segment_create(&node, scratch_path("node"), CAPACITY, 1, 1);
}

static int progress_teardown(void **state)
{
    segment_detach(&root);
    segment_detach(&node);
    return scratch_teardown(state);
}

static void marks_move_once(void **state)
{
    size_t size;

    (void)state;
    assert_int_equal(progress_write(&progress, &root, message, sizeof message), 0);
    segment_move_claim(&root, 7);
    segment_move_claim(&root, 7);
    segment_move_claim(&root, SEGMENT_CLAIMS * 5 - 1);
    size = progress_write(&progress, &root, message, sizeof message);
    assert_int_equal(size, 4);
    progress_read(&node, message, size);
    assert_int_equal(segment_claim_mark(&node, 7), 1);
    assert_int_equal(segment_claim_mark(&node, SEGMENT_CLAIMS - 1), 1);
    assert_int_equal(segment_claim_mark(&node, 8), 0);
    assert_int_equal(progress_write(&progress, &root, message, sizeof message), 0);
}

static void what_does_not_fit_comes_later(void **state)
{
    int rounds = 0;

    (void)state;
    for (uint64_t i = 0; i < SEGMENT_CLAIMS; i++) {
        segment_move_claim(&root, i);
    }
    for (size_t size; (size = progress_write(&progress, &root, message, 1001)) > 0; rounds++) {
        assert_true(size <= 1001);
        progress_read(&node, message, size);
    }
    assert_int_equal(rounds, (2 * SEGMENT_CLAIMS + 999) / 1000);
    for (uint64_t i = 0; i < SEGMENT_CLAIMS; i++) {
        assert_int_equal(segment_claim_mark(&node, i), 1);
    }
}

static void what_is_malformed_is_ignored(void **state)
{
    uint16_t numbers[] = {SEGMENT_CLAIMS, UINT16_MAX, 3};

    (void)state;
    progress_read(&node, (const char *)numbers, sizeof numbers - 1);
    assert_int_equal(segment_claim_mark(&node, 3), 0);
    assert_int_equal(segment_claim_mark(&node, 0), 0);
    progress_read(&node, (const char *)numbers, sizeof numbers);
    assert_int_equal(segment_claim_mark(&node, 3), 1);
}

#define progress_test(f) cmocka_unit_test_setup_teardown(f, progress_setup, progress_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        progress_test(marks_move_once),
        progress_test(what_does_not_fit_comes_later),
        progress_test(what_is_malformed_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
