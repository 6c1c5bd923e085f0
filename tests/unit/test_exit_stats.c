/* SPDX-License-Identifier: BSD-3-Clause */
/* service/farewell, cache/left, report/libraries: what a node tells at its end, and what the report
 * makes of it. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broadcast/exit_stats.h"
#include "cache/unserved.h"
#include "report/libraries.h"
#include "samples.h"

enum { CAPACITY = 16 << 20, RANKS = 3, PLANNED = 11 };

static struct segment segment;
static char *message;
static size_t message_size;

static int exit_stats_setup(void **state)
{
    if (scratch_setup(state) != 0 ||
        segment_create(&segment, scratch_path("index"), CAPACITY, RANKS, 1) != 0) {
        return -1;
    }
    for (int i = 0; i < PLANNED; i++) {
        char name[32];
        struct record *r;

        snprintf(name, sizeof name, "/planned/%d", i);
        r = sample_record(RECORD_REALPATH, name);
        r->flags = RECORD_PLANNED;
        record_seal(r);
        segment_insert(&segment, r);
        free(r);
    }
    segment.header->counters[2].lookups = 42;
    message = malloc(exit_stats_max_size(RANKS, PLANNED));
    return message == NULL ? -1 : 0;
}

static int exit_stats_teardown(void **state)
{
    free(message);
    segment_detach(&segment);
    return scratch_teardown(state);
}

static struct exit_stats exit_stats_note_change(void)
{
    struct exit_stats f;

    message_size = exit_stats_write(&segment, message);
    assert_true(message_size <= exit_stats_max_size(RANKS, PLANNED));
    assert_true(exit_stats_read(&segment, message, message_size, &f));
    return f;
}

static void tells_counters_and_libraries(void **state)
{
    struct exit_stats f;

    (void)state;
    unserved_note(&segment, "/a/libx.so", "why");
    unserved_note(&segment, "/a/libx.so", "another reason");
    unserved_note(&segment, "/a/liby.so", "");
    f = exit_stats_note_change();
    assert_int_equal(f.n_counters, RANKS);
    assert_int_equal(f.counters[2].lookups, 42);
    assert_true(f.knows_plan);
    assert_int_equal(f.unserved_size, sizeof "/a/libx.so\0why\0/a/liby.so\0" /* and a NUL */);
    assert_memory_equal(f.unserved, "/a/libx.so\0why\0/a/liby.so\0", f.unserved_size);
    assert_int_equal(f.unserved_omitted, 0);
}

/* A process was killed while it wrote one. */
static void an_unfinished_record_hides_nothing(void **state)
{
    struct exit_stats f;

    (void)state;
    assert_non_null(segment_allocate(&segment, 1, 0));
    unserved_note(&segment, "/a/libx.so", "why");
    f = exit_stats_note_change();
    assert_true(f.knows_plan);
    assert_int_equal(f.unserved_size, sizeof "/a/libx.so\0why");
}

static void more_than_fits_is_counted(void **state)
{
    enum { MANY = 1000 };
    struct report_libraries libraries = {0};
    struct exit_stats f;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        char name[64];

        snprintf(name, sizeof name, "/a/directory/with/a/long/name/lib%d.so", i);
        unserved_note(&segment, name, "a reason");
    }
    f = exit_stats_note_change();
    report_libraries_add(&libraries, f.unserved, f.unserved_size, f.unserved_omitted);
    assert_true(f.unserved_omitted > 0 && libraries.n > 100);
    assert_int_equal(libraries.n + libraries.omitted, MANY);
    report_libraries_free(&libraries);
}

static void nodes_are_merged(void **state)
{
    struct report_libraries libraries = {0};

    (void)state;
    report_libraries_add(&libraries, "a\0first", 8, 0);
    report_libraries_add(&libraries, "b\0why\0a\0second", 15, 2);
    assert_int_equal(libraries.n, 2);
    assert_string_equal(libraries.items[0].path, "a");
    assert_string_equal(libraries.items[0].why, "first");
    assert_int_equal(libraries.items[0].nodes, 2);
    assert_int_equal(libraries.items[1].nodes, 1);
    assert_int_equal(libraries.omitted, 2);
    report_libraries_free(&libraries);
    assert_int_equal(libraries.n, 0);
}

static void no_more_are_kept_than_there_is_room_for(void **state)
{
    struct report_libraries libraries = {0};

    (void)state;
    for (int i = 0; i < REPORT_LIBRARIES + 5; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "lib%d", i) + 1;

        text[n] = '\0';
        report_libraries_add(&libraries, text, (size_t)n + 1, 0);
    }
    assert_int_equal(libraries.n, REPORT_LIBRARIES);
    assert_int_equal(libraries.omitted, 5);
    report_libraries_free(&libraries);
}

/* Cut anywhere, or with sizes that cannot be: nothing is read behind the end (see it under ASan).
 */
static void what_makes_no_sense_is_refused(void **state)
{
    struct exit_stats_head head;
    struct exit_stats f;

    (void)state;
    unserved_note(&segment, "/a/libx.so", "why");
    exit_stats_note_change();
    for (size_t size = 0; size < message_size; size++) {
        struct report_libraries libraries = {0};
        char *cut = malloc(size + 1);

        memcpy(cut, message, size);
        assert_false(exit_stats_read(&segment, cut, size, &f));
        report_libraries_add(&libraries, f.unserved, f.unserved_size, 0);
        assert_int_equal(libraries.n, 0);
        free(cut);
    }
    memcpy(&head, message, sizeof head);
    head.n_counters = UINT32_MAX;
    memcpy(message, &head, sizeof head);
    assert_false(exit_stats_read(&segment, message, message_size, &f));
    assert_int_equal(f.n_counters, 0);
    head.n_counters = RANKS;
    head.n_bits = UINT32_MAX;
    memcpy(message, &head, sizeof head);
    assert_false(exit_stats_read(&segment, message, message_size, &f));
    assert_false(f.knows_plan);
}

static void half_a_pair_is_ignored(void **state)
{
    struct report_libraries libraries = {0};

    (void)state;
    report_libraries_add(&libraries, "path\0why", 8, 0); /* no NUL behind it */
    report_libraries_add(&libraries, "path", 4, 0);
    assert_int_equal(libraries.n, 0);
}

static void what_was_used_of_the_plan_is_marked(void **state)
{
    struct fi_query q = query_make(RECORD_REALPATH, 0, "/planned/9", 10);
    const struct record *r = segment_find(&segment, &q);

    (void)state;
    record_mark_used(r);
    exit_stats_note_change();
    __atomic_fetch_and((uint8_t *)&r->flags, (uint8_t)~RECORD_USED, __ATOMIC_RELAXED);
    assert_true(exit_stats_read(&segment, message, message_size, &(struct exit_stats){0}));
    assert_true((record_flags(r) & RECORD_USED) != 0);
}

#define farewell_test(f) cmocka_unit_test_setup_teardown(f, exit_stats_setup, exit_stats_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        farewell_test(tells_counters_and_libraries),
        farewell_test(an_unfinished_record_hides_nothing),
        farewell_test(more_than_fits_is_counted),
        farewell_test(what_makes_no_sense_is_refused),
        farewell_test(what_was_used_of_the_plan_is_marked),
        cmocka_unit_test(nodes_are_merged),
        cmocka_unit_test(no_more_are_kept_than_there_is_room_for),
        cmocka_unit_test(half_a_pair_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
