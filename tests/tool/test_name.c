/* SPDX-License-Identifier: BSD-3-Clause */
/* archive/name.h: which names and link targets pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "archive/name.h"

static void normal_forms(void **state)
{
    static const char *const table[][2] = {
        {"a", "a"},     {"./a//b/", "a/b"},    {"a/./b", "a/b"}, {"./", ""}, {"a b\xff", "a b\xff"},
        {"...", "..."}, {"..a/b..", "..a/b.."}};
    char out[4096];
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_null(name_normal(table[i][0], out, sizeof out));
        assert_string_equal(out, table[i][1]);
    }
}

static void refused_names(void **state)
{
    static const char *const table[] = {"/a",   "..",  "../a", "a/..", "a/../b",
                                        "a\nb", "a\r", "",     NULL};
    char out[4096], component[300];
    (void)state;
    for (size_t i = 0; table[i] != NULL; i++) {
        assert_non_null(name_normal(table[i], out, sizeof out));
    }
    assert_non_null(name_normal(NULL, out, sizeof out));
    memset(component, 'x', sizeof component);
    component[256] = '\0';
    assert_non_null(name_normal(component, out, sizeof out));
    component[255] = '\0';
    assert_null(name_normal(component, out, sizeof out));
    assert_non_null(name_normal("abc/def", out, 7)); /* no room for the NUL */
    assert_null(name_normal("abc/def", out, 8 + 1));
}

static void link_targets(void **state)
{
    (void)state;
    assert_null(name_link("a/b", "c"));
    assert_null(name_link("a/b", "../c"));
    assert_null(name_link("a/b", "../a/../c"));
    assert_null(name_link("a/b", "/absolute/is/judged/elsewhere"));
    assert_non_null(name_link("a/b", "../../c"));
    assert_non_null(name_link("a", ".."));
    assert_non_null(name_link("a", "x/../../y/z"));
    assert_non_null(name_link("a", ""));
    assert_non_null(name_link("a", "b\nc"));
}

static void name_below_directory(void **state)
{
    (void)state;
    assert_true(name_below("a/b", "a"));
    assert_true(name_below("a", "a"));
    assert_false(name_below("ab", "a"));
    assert_true(name_below("anything", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_forms), cmocka_unit_test(refused_names),
        cmocka_unit_test(link_targets), cmocka_unit_test(name_below_directory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
