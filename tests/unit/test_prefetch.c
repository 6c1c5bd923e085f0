/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ahead: what the root looks up before it is asked, on a package with two modules. The helper is
 * played by give(), which notes what it gets and does it at once.
 */
#include "scratch.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/protected_fd.h"
#include "fill/prefetch.h"

enum { MOST = 8 };

static struct node_cache node;
static struct fill fill;
static struct policy policy;
static char given[MOST][512];
static int n_given;
static bool takes;

static bool give(const struct fi_query *q)
{
    assert_in_range(n_given, 0, MOST - 1);
    if (takes) {
        snprintf(given[n_given++], sizeof given[0], "%d %s", q->kind,
                 q->path + strlen(scratch()) + 1);
        fill_and_unclaim(&fill, q);
    }
    return takes;
}

static struct fi_query a_query(enum record_kind kind, const char *name)
{
    const char *path = name[0] == '\0' ? scratch() : scratch_path(name);

    return query_make(kind, 0, path, strlen(path));
}

static bool known(enum record_kind kind, const char *name)
{
    struct fi_query q = a_query(kind, name);

    return segment_find(&node.index, &q) != NULL;
}

static bool claimed(enum record_kind kind, const char *name)
{
    return segment_claimed(&node.index, a_query(kind, name).hash);
}

static void prefetch_look(enum record_kind kind, const char *name)
{
    struct fi_query q = a_query(kind, name);
    enum fallback_reason why;

    assert_non_null(fill_get(&fill, &q, NULL, &why));
}

static void prefetch_ask(enum record_kind kind, const char *name)
{
    struct fi_query q = a_query(kind, name);

    n_given = 0;
    prefetch_after(&q);
}

static int prefetch_setup(void **state)
{
    char roots[512];

    if (scratch_setup_outside_dev(state) != 0 || node_create(&node, scratch(), 2) != 0) {
        return -1;
    }
    snprintf(roots, sizeof roots, "A%s\n", scratch());
    policy_load(&policy, roots, strlen(roots));
    fill_init(&fill, &node, true, 1 << 20, 150);
    atomic_store(&node.index.header->state, SERVICE_RUNNING);
    mkdir(scratch_path("pkg"), 0755);
    mkdir(scratch_path("pkg/__pycache__"), 0755);
    mkdir(scratch_path("no-package"), 0755);
    mkdir(scratch_path("bare"), 0755);
    scratch_text("pkg/__init__.py", "");
    scratch_text("pkg/mod.py", "");
    scratch_text("pkg/__pycache__/__init__.cpython-311.pyc", "i");
    scratch_text("pkg/__pycache__/mod.cpython-311.pyc", "m");
    scratch_text("bare/mod.py", "");
    takes = true;
    prefetch_start(&fill, &policy, give);
    return 0;
}

static int prefetch_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

/* Asks with nothing known; with the directory's listing; and, last, once an ending is learned. The
 * endings stay learned in this process, so this is one test. */
static void packages_and_modules(void **state)
{
    (void)state;
    prefetch_ask(RECORD_STAT, "pkg/__init__.abi3.so");
    assert_false(known(RECORD_LIST, "pkg")); /* is it there at all? */
    prefetch_look(RECORD_LIST, "");
    prefetch_ask(RECORD_STAT, "no-package/__init__.abi3.so");
    assert_false(known(RECORD_LIST, "no-package")); /* no import can name it */

    prefetch_ask(RECORD_STAT, "bare/__init__.abi3.so");
    assert_true(known(RECORD_LIST, "bare"));
    assert_int_equal(n_given, 1);
    assert_string_equal(given[0], "1 bare/__init__.py");
    prefetch_ask(RECORD_STAT, "bare/__init__.so");
    assert_int_equal(n_given, 0); /* listed already */

    prefetch_ask(RECORD_CONTENT, "pkg/mod.cpython-311.pyc"); /* not in a __pycache__ */
    prefetch_ask(RECORD_CONTENT, "bare/__pycache__/other.cpython-311.pyc");
    prefetch_ask(RECORD_CONTENT, "bare/__pycache__/other.cpython-312.pyc"); /* the first counts */
    prefetch_ask(RECORD_STAT, "bare/mod.py");
    assert_int_equal(n_given, 0); /* no __pycache__ there */

    prefetch_ask(RECORD_STAT, "pkg/mod.py");
    assert_int_equal(n_given, 0); /* nothing known of pkg */
    prefetch_ask(RECORD_STAT, "pkg/__init__.abi3.so");
    assert_true(known(RECORD_LIST, "pkg"));
    assert_int_equal(n_given, 2);
    assert_string_equal(given[0], "6 pkg/__pycache__/__init__.cpython-311.pyc");
    assert_string_equal(given[1], "1 pkg/__init__.py");
    prefetch_ask(RECORD_STAT, "pkg/missing.py");
    assert_int_equal(n_given, 0);
    prefetch_ask(RECORD_STAT, "pkg/mod.py");
    assert_int_equal(n_given, 1);
    assert_string_equal(given[0], "6 pkg/__pycache__/mod.cpython-311.pyc");
    assert_false(claimed(RECORD_CONTENT, "pkg/__pycache__/mod.cpython-311.pyc"));
}

static void what_nobody_takes_is_not_claimed(void **state)
{
    (void)state;
    takes = false;
    prefetch_look(RECORD_LIST, "");
    prefetch_ask(RECORD_STAT, "pkg/__init__.abi3.so");
    assert_true(known(RECORD_LIST, "pkg"));
    assert_false(known(RECORD_STAT, "pkg/__init__.py"));
    assert_false(claimed(RECORD_STAT, "pkg/__init__.py"));
}

static void only_what_is_ours(void **state)
{
    (void)state;
    policy_load(&policy, "A/somewhere/else\n", 17);
    prefetch_look(RECORD_LIST, "");
    prefetch_ask(RECORD_STAT, "pkg/__init__.abi3.so");
    assert_false(known(RECORD_LIST, "pkg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(packages_and_modules, prefetch_setup, prefetch_teardown),
        cmocka_unit_test_setup_teardown(what_nobody_takes_is_not_claimed, prefetch_setup,
                                        prefetch_teardown),
        cmocka_unit_test_setup_teardown(only_what_is_ours, prefetch_setup, prefetch_teardown),
    };

    return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
