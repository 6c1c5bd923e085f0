/* SPDX-License-Identifier: BSD-3-Clause */
/* cache/room: what is kept under which limits, the largest files not; limits that change meanwhile.
 * The limits are made up. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/protected_fd.h"
#include "cache/mirror.h"
#include "faults.h"

#define MB 1048576ULL

static struct node_cache node;
static struct memory_limit made_up;
static int looks;

size_t __wrap_memory_limits_read(struct memory_limit out[MEMORY_LIMITS]);
size_t __wrap_memory_limits_read(struct memory_limit out[MEMORY_LIMITS])
{
    looks++;
    out[0] = made_up;
    return made_up.limit > 0;
}

static int room_setup(void **state)
{
    made_up = (struct memory_limit){0, 0};
    looks = 0;
    fi_count->files_not_kept = 0;
    fi_count->bytes_not_kept = 0;
    return scratch_setup(state) || node_create(&node, scratch(), 1);
}

static int room_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static void a_share_of_each_limit(void **state)
{
    struct memory_limit some[] = {{2000, 0}, {4000, 2700}, {1600, 100}};

    (void)state;
    assert_int_equal(room_under(NULL, 0, 5), UINT64_MAX);
    assert_int_equal(room_under(some, 1, 0), 250);
    assert_int_equal(room_under(some, 1, 200), 50);
    assert_int_equal(room_under(some, 1, 300), 0);
    assert_int_equal(room_under(some, 2, 0), 250);
    assert_int_equal(room_under(some, 3, 0), 200);
    some[1].used = 2900;
    assert_int_equal(room_under(some, 3, 0), 100);
    some[1].used = 4100;
    assert_int_equal(room_under(some, 3, 0), 0);
}

static void on_a_large_node_a_small_part_is_enough(void **state)
{
    struct memory_limit large = {256ULL << 30, 251ULL << 30};

    (void)state;
    assert_int_equal(room_under(&large, 1, 0), 1ULL << 30);
    assert_false(room_is_tight(&large, 1));
    large.used += 2ULL << 30;
    assert_int_equal(room_under(&large, 1, 0), 0);
    assert_false(room_is_tight(&large, 1));
    large.used += (1ULL << 30) + 1;
    assert_true(room_is_tight(&large, 1));
}

static void little_is_free(void **state)
{
    struct memory_limit some[] = {{800, 100}, {1600, 1400}};

    (void)state;
    assert_false(room_is_tight(NULL, 0));
    assert_false(room_is_tight(some, 2));
    some[1].used = 1401;
    assert_true(room_is_tight(some, 2));
    assert_false(room_is_tight(some, 1));
}

static void large_files_leave_room_for_small_ones(void **state)
{
    (void)state;
    assert_true(room_fits(0, 0));
    assert_true(room_fits(MB, MB));
    assert_false(room_fits(MB + 1, MB + 1));
    assert_true(room_fits(10 * MB, 20 * MB));
    assert_false(room_fits(10 * MB, 20 * MB - 1));
    assert_true(room_fits(UINT64_MAX / 2, UINT64_MAX));
}

/* Returns 0 or the error of the step that has failed. */
static int room_keep_file(const char *path, uint64_t size)
{
    static char bytes[1 << 20];
    struct stat st = {.st_mode = S_IFREG | 0644, .st_size = (off_t)size};
    struct mirror_writer w;
    int error = mirror_begin(&w, &node, size);

    for (uint64_t at = 0; error == 0 && at < size; at += sizeof bytes) {
        error = mirror_append(&w, bytes, size - at < sizeof bytes ? size - at : sizeof bytes);
        if (error != 0) {
            mirror_abandon(&w);
        }
    }
    return error != 0 ? error : mirror_finish(&w, &node, path, &st);
}

static void assert_held(uint64_t size)
{
    assert_int_equal(atomic_load(&node.index.header->held), size);
    assert_int_equal(atomic_load(&node.index.header->promised), 0);
}

static void what_does_not_fit_is_not_kept(void **state)
{
    (void)state;
    made_up = (struct memory_limit){80 * MB, 0}; /* 10 MiB for the mirror */
    assert_int_equal(room_keep_file("/a", 6 * MB), -ENOBUFS);
    assert_held(0);
    assert_int_equal(room_keep_file("/b", 5 * MB), 0);
    assert_int_equal(room_keep_file("/c", 3 * MB), -ENOBUFS);
    assert_int_equal(room_keep_file("/d", 2 * MB), 0);
    assert_held(7 * MB);
    assert_int_equal(fi_count->files_not_kept, 2);
    assert_int_equal(fi_count->bytes_not_kept, 9 * MB);
    assert_int_equal(node.index.header->content_bytes, 7 * MB);
    made_up.used = 60 * MB; /* the program has grown */
    atomic_store(&node.index.header->granted_until, 0);
    assert_int_equal(room_keep_file("/e", 10), -ENOBUFS);
    made_up.used = 0;
    assert_int_equal(room_keep_file("/e", 10), 0);
}

static void small_files_are_kept_without_a_look_each(void **state)
{
    char path[16];

    (void)state;
    made_up = (struct memory_limit){1024 * MB, 0};
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "/f%d", i);
        assert_int_equal(room_keep_file(path, 1000), 0);
    }
    assert_in_range(looks, 1, 5); /* one a second */
    assert_held(100000);
}

static void small_files_fill_the_room_and_no_more(void **state)
{
    char path[16];
    int kept = 0;

    (void)state;
    made_up = (struct memory_limit){80 * MB, 0};
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "/f%d", i);
        kept += room_keep_file(path, 100 * 1024) == 0;
    }
    assert_int_equal(kept, 102); /* of 100 KiB in 10 MiB */
}

static void a_limit_is_lowered_while_a_file_is_written(void **state)
{
    struct mirror_writer w;
    static char bytes[16 << 20];
    char name[MIRROR_PATH_MAX];

    (void)state;
    made_up = (struct memory_limit){1024 * MB, 0};
    assert_int_equal(mirror_begin(&w, &node, 64 * MB), 0);
    assert_int_equal(mirror_append(&w, bytes, 16 * MB), 0);
    made_up.limit = 100 * MB;
    assert_int_equal(mirror_append(&w, bytes, 16 * MB), -ENOBUFS);
    mirror_abandon(&w);
    assert_held(0);
    assert_int_equal(fi_count->bytes_not_kept, 64 * MB);
    snprintf(name, sizeof name, "%s/tmp", node.directory + strlen(scratch()) + 1);
    assert_int_equal(scratch_count(name), 0);
}

static void other_files_that_are_being_written_count(void **state)
{
    struct mirror_writer a;
    struct mirror_writer b;

    (void)state;
    made_up = (struct memory_limit){160 * MB, 0}; /* 20 MiB */
    assert_int_equal(mirror_begin(&a, &node, 10 * MB), 0);
    assert_int_equal(mirror_begin(&b, &node, 6 * MB), -ENOBUFS);
    mirror_abandon(&a);
    assert_int_equal(mirror_begin(&b, &node, 6 * MB), 0);
    mirror_abandon(&b);
    made_up = (struct memory_limit){800 * MB, 580 * MB}; /* 20 MiB above the free quarter */
    assert_int_equal(mirror_begin(&a, &node, 10 * MB), 0);
    assert_int_equal(mirror_begin(&b, &node, 6 * MB), -ENOBUFS);
    mirror_abandon(&a);
}

#define room_test(f) cmocka_unit_test_setup_teardown(f, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_of_each_limit),
        cmocka_unit_test(on_a_large_node_a_small_part_is_enough),
        cmocka_unit_test(little_is_free),
        cmocka_unit_test(large_files_leave_room_for_small_ones),
        room_test(what_does_not_fit_is_not_kept),
        room_test(small_files_are_kept_without_a_look_each),
        room_test(small_files_fill_the_room_and_no_more),
        room_test(a_limit_is_lowered_while_a_file_is_written),
        room_test(other_files_that_are_being_written_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
