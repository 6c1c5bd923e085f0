/* SPDX-License-Identifier: BSD-3-Clause */
/* policy: the table of design section 8, row by row. */
#include "scratch.h"

#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

static const char table[] = "A/sw/env\n"
                            "A/sw/env2/lib\n"
                            "I/home/u/app\n"
                            "I/sw/env/src\n" /* inside an environment: the longer root decides */
                            "L/opt/lib\n"
                            "X/sw/env/share/data\n"
                            "X/home/u/app/scratch\n"
                            "A/proc\n"
                            "A/dev/env\n"
                            "A/run/env\n"
                            "A/sys/env\n"
                            "I/both\n"
                            "A/both\n";

static const struct {
    const char *path;
    enum verdict verdict;
} cases[] = {
    /* an environment: everything */
    {"/sw/env", OURS},
    {"/sw/env/bin/python", OURS},
    {"/sw/env/data.bin", OURS},
    {"/sw/env/lib/python3.11/site-packages/x/y.so", OURS},
    /* by component, not by letter */
    {"/sw/environment", NOT_OURS},
    {"/sw/env2", NOT_OURS},
    {"/sw/env2/lib", OURS},
    {"/sw/env2/lib64", NOT_OURS},
    {"/sw", NOT_OURS},
    {"/", NOT_OURS},
    {"/elsewhere/sw/env", NOT_OURS},
    /* excludes win, whatever stands below them */
    {"/sw/env/share/data", NOT_OURS},
    {"/sw/env/share/data/x.py", NOT_OURS},
    {"/sw/env/share/database", OURS},
    {"/home/u/app/scratch/x.py", NOT_OURS},
    /* a script's directory: what an import asks for */
    {"/home/u/app", OURS},
    {"/home/u/app/main.py", OURS},
    {"/home/u/app/main.pyc", OURS},
    {"/home/u/app/__pycache__", OURS},
    {"/home/u/app/__pycache__/main.cpython-311.pyc", OURS},
    {"/home/u/app/m.cpython-311-x86_64-linux-gnu.so", OURS},
    {"/home/u/app/libx.so.1.2", OURS},
    {"/home/u/app/a.source.so", OURS},
    {"/home/u/app/a.pth", OURS},
    {"/home/u/app/a.zip", OURS},
    {"/home/u/app/a.egg", OURS},
    {"/home/u/app/a.whl", OURS},
    {"/home/u/app/a.egg-link", OURS},
    {"/home/u/app/a-1.0.dist-info", OURS},
    {"/home/u/app/a-1.0.dist-info/METADATA", OURS},
    {"/home/u/app/a-1.0.dist-info/entry_points.txt", OURS},
    {"/home/u/app/a.egg-info/PKG-INFO", OURS},
    {"/home/u/app/package", OURS_IF_DIRECTORY},
    {"/home/u/app/package/module", OURS_IF_DIRECTORY},
    {"/home/u/app/STOP", OURS_IF_DIRECTORY}, /* a flag file or a package: the listing tells */
    /* ... and nothing else */
    {"/home/u/app/data.csv", NOT_OURS},
    {"/home/u/app/result.h5", NOT_OURS},
    {"/home/u/app/x.sock", NOT_OURS},
    {"/home/u/app/x.some", NOT_OURS},
    {"/home/u/app/.git", NOT_OURS},
    {"/home/u/app/config.pyx", NOT_OURS},
    {"/home/u/apple/main.py", NOT_OURS},
    /* the longest root decides; of two alike the wider */
    {"/sw/env/src/data.csv", NOT_OURS},
    {"/sw/env/src/m.py", OURS},
    {"/both/data.csv", OURS},
    /* LD_LIBRARY_PATH: shared libraries */
    {"/opt/lib", OURS},
    {"/opt/lib/libz.so", OURS},
    {"/opt/lib/libz.so.1", OURS},
    {"/opt/lib/glibc-hwcaps/x86-64-v3/libz.so.1", OURS},
    {"/opt/lib/libz.a", NOT_OURS},
    {"/opt/lib/x.py", NOT_OURS},
    /* the kernel's own */
    {"/proc/self/maps", NOT_OURS},
    {"/dev/env/x", NOT_OURS},
    {"/run/env/x", NOT_OURS},
    {"/sys/env/x", NOT_OURS},
};

static struct policy policy;

static void decides(void **state)
{
    (void)state;
    policy_load(&policy, table, strlen(table));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum verdict v = policy_verdict(&policy, cases[i].path, strlen(cases[i].path));

        if (v != cases[i].verdict) {
            fail_msg("%s: verdict %d, expected %d", cases[i].path, v, cases[i].verdict);
        }
        if (v != NOT_OURS) {
            assert_true(policy_maybe(&policy, cases[i].path));
        }
    }
    assert_false(policy_maybe(&policy, "/usr/lib/x.py"));
    assert_false(policy_maybe(&policy, ""));
}

static void judges_a_part_of_a_path(void **state)
{
    static const char path[] = "/sw/env/lib/x";

    (void)state;
    policy_load(&policy, table, strlen(table));
    assert_int_equal(policy_verdict(&policy, path, 7), OURS);
    assert_int_equal(policy_verdict(&policy, path, 3), NOT_OURS);
}

static void knows_what_is_above(void **state)
{
    static const char text[] = "A/sw/env/x\nI/home/u\nA/home/u/p/env\nX/data/a/b\n";
    static const char *const above[] = {"/", "/sw", "/sw/env", "/home", "/home/u/p"};
    static const char *const others[] = {"",
                                         "sw",
                                         "/s",
                                         "/sw/",
                                         "/sw/en",
                                         "/sw/env/",
                                         "/sw/env/x",
                                         "/sw/env/x/y",
                                         "//sw",
                                         "/sw/env/xx",
                                         "/swa",
                                         "/home/u",
                                         "/home/u/p/env",
                                         "/home/u/q",
                                         "/data",
                                         "/data/a",
                                         "/sw/..",
                                         "/home/u/p/e",
                                         ".",
                                         "/home/",
                                         "/home/u/p/env/x",
                                         "/home/u/p/envx"};

    (void)state;
    policy_load(&policy, text, strlen(text));
    for (size_t i = 0; i < sizeof above / sizeof *above; i++) {
        assert_true(policy_is_above(&policy, above[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(policy_is_above(&policy, others[i]));
    }
}

static void leaves_out_nonsense(void **state)
{
    static const char text[] = "\n\nQ/unknown\nArelative\nA\n/no/scope\nA/good\nA/last";

    (void)state;
    policy_load(&policy, text, strlen(text));
    assert_int_equal(policy.n_roots, 2);
    assert_int_equal(policy_verdict(&policy, "/good/x", 7), OURS);
    assert_int_equal(policy_verdict(&policy, "/last/x", 7), OURS);
    assert_int_equal(policy_verdict(&policy, "/unknown/x", 10), NOT_OURS);
    policy_load(&policy, "", 0);
    assert_int_equal(policy.n_roots, 0);
    assert_int_equal(policy_verdict(&policy, "/good/x", 7), NOT_OURS);
    assert_false(policy_maybe(&policy, "/good/x"));
}

static void is_bounded(void **state)
{
    static char text[2 * POLICY_TEXT];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < POLICY_ROOTS + 10; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "A/r%d\n", i);
    }
    policy_load(&policy, text, n);
    assert_int_equal(policy.n_roots, POLICY_ROOTS);
    memset(text, 'x', sizeof text);
    memcpy(text, "A/", 2);
    policy_load(&policy, text, sizeof text); /* cut, not overrun */
    assert_int_equal(policy.n_roots, 1);
    assert_int_equal(policy.roots[0].length, POLICY_TEXT - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),
        cmocka_unit_test(judges_a_part_of_a_path),
        cmocka_unit_test(knows_what_is_above),
        cmocka_unit_test(leaves_out_nonsense),
        cmocka_unit_test(is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
