/* SPDX-License-Identifier: BSD-3-Clause */
/* cache/extents, fill/parts, fill/learnt: lists of parts of files. */
#include "scratch.h"

#include <stdlib.h>

#include "cache/extents.h"
#include "fill/learnt.h"
#include "fill/parts.h"

static void unsound_extents_are_refused(void **state)
{
    enum { U = EXTENT_ALIGN };
    static const struct {
        struct record_extent list[2];
        bool sound;
    } cases[] = {
        {{{0, U}, {2 * U, U}}, true},
        {{{0, U}, {2 * U, U + 5}}, true},
        {{{0, U}, {U, U}}, false},
        {{{0, 0}, {2 * U, U}}, false},
        {{{U, U}, {0, U}}, false},
        {{{0, U}, {2 * U, 5}}, false},
        {{{0, U}, {2 * U + 1, U}}, false},
        {{{0, U}, {3 * U, U}}, false},
        {{{0, U}, {2 * U, UINT64_MAX}}, false},
        {{{0, U}, {UINT64_MAX - U + 1, U}}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct extents e = {cases[i].list, 2};

        assert_int_equal(extents_valid(&e, 3 * U + 5), cases[i].sound);
    }
}

static void finds_bytes_and_gaps(void **state)
{
    enum { U = EXTENT_ALIGN };
    static const struct record_extent list[] = {{U, U}, {3 * U, 2 * U}};
    const struct extents e = {list, 2};
    const struct extents none = {NULL, 0};
    struct record_extent gap;
    uint64_t run;

    (void)state;
    assert_int_equal(extents_total(&e), 3 * U);
    assert_int_equal(extents_locate(&e, 0, &run), U);
    assert_int_equal(run, U);
    assert_int_equal(extents_locate(&e, U + 5, &run), 3 * U + 5);
    assert_int_equal(run, 2 * U - 5);
    extents_locate(&e, 3 * U, &run);
    assert_int_equal(run, 0);
    assert_int_equal(extents_locate(&none, 77, &run), 77);
    assert_true(run > 1ULL << 60);
    assert_true(extents_gap(&e, 0, 6 * U, &gap) && gap.offset == 0 && gap.length == U);
    assert_true(extents_gap(&e, U, 6 * U, &gap) && gap.offset == 2 * U && gap.length == U);
    assert_true(extents_gap(&e, 3 * U, 6 * U, &gap) && gap.offset == 5 * U && gap.length == U);
    assert_true(extents_gap(&e, 2 * U + 1, 2 * U + 9, &gap) && gap.length == 8);
    assert_false(extents_gap(&e, 3 * U, 5 * U, &gap));
    assert_false(extents_gap(&none, 0, U, &gap));
}

/* The number of parts is bounded, because each gap is a mapping. */
static void small_gaps_are_filled_where_there_are_many(void **state)
{
    static struct record_extent list[2000];
    struct parts many = {0};

    (void)state;
    for (uint32_t i = 0; i < 2000; i++) {
        list[i] = (struct record_extent){(uint64_t)i * 2 * EXTENT_ALIGN, EXTENT_ALIGN};
        parts_add(&many, list[i].offset, list[i].offset + list[i].length);
    }
    parts_merge(&many, EXTENT_ALIGN);
    assert_int_equal(many.n, 2000);
    parts_merge(&many, 2 * EXTENT_ALIGN);
    assert_int_equal(many.n, 1);
    free(many.list);
}

static void a_version_is_known_by_inode_size_and_time(void **state)
{
    static const struct record_extent list[] = {{0, EXTENT_ALIGN}};
    struct stat st = {.st_ino = 5, .st_size = 6, .st_mtim = {7, 8}};
    struct file_version file = file_version_of(&st);

    (void)state;
    learnt_add(&file, (struct extents){list, 1});
    learnt_add(&file, (struct extents){NULL, 0}); /* the first stays */
    assert_int_equal(learnt_find(&st).n, 1);
    st.st_mtim.tv_nsec++;
    assert_int_equal(learnt_find(&st).n, 0);
    st.st_mtim.tv_nsec--;
    st.st_size++;
    assert_int_equal(learnt_find(&st).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsound_extents_are_refused),
        cmocka_unit_test(finds_bytes_and_gaps),
        cmocka_unit_test(small_gaps_are_filled_where_there_are_many),
        cmocka_unit_test(a_version_is_known_by_inode_size_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
