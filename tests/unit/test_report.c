/* SPDX-License-Identifier: BSD-3-Clause */
/* report: JSON that every reader takes, whatever the names are; and one where nothing was served.
 */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/answers.h"
#include "report/report.h"

static const struct report_libraries none;

static struct report_facts facts(const char *roots)
{
    return (struct report_facts){.job_id = "4711.0",
                                 .ranks = 2,
                                 .nodes = 1,
                                 .mpi_library = "MPI",
                                 .roots = roots,
                                 .plan = {.file = ""},
                                 .unserved = &none};
}

/* What Python makes of an expression of `report`, which is the JSON file. */
static const char *python(const char *name, const char *expression)
{
    static char out[1024];
    char command[4096];
    size_t n;
    FILE *f;

    snprintf(command, sizeof command,
             "python3 -c 'import json, os; report = json.load(open(\"%s\", encoding=\"utf-8\")); "
             "print(ascii(%s), end=\"\")' 2>&1",
             scratch_path(name), expression);
    f = popen(command, "r");
    assert_non_null(f);
    n = fread(out, 1, sizeof out - 1, f);
    out[n] = '\0';
    pclose(f);
    return out;
}

/* Each of these strings must be in `text`. */
#define text_has(text, ...) find_each(text, (const char *const[]){__VA_ARGS__, NULL})
static void find_each(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strstr(text, *words) == NULL) {
            fail_msg("\"%s\" is not in: %s", *words, text);
        }
    }
}

static const char *as_json(const char *roots, const char *expression)
{
    struct report_facts f = facts(roots);
    struct fi_counters counters[2] = {0};

    report_write(scratch_path("report"), &f, counters, 2);
    return python("report", expression);
}

static void names_are_any_bytes(void **state)
{
    static const struct {
        const char *bytes, *read;
    } names[] = {
        {"A/sw/caf\xc3\xa9", "'A/sw/caf\\xe9'"},
        {"A/\xe2\x82\xac\xf0\x9f\x90\x8d", "'A/\\u20ac\\U0001f40d'"},
        {"A/a\"b\\c\td\x7f", "'A/a\"b\\\\c\\td\\x7f'"},
        {"A/\xff\xc3", "'A/\\udcff\\udcc3'"}, /* not UTF-8, and cut short */
        {"A/\xc0\xaf\xed\xa0\x80", "'A/\\udcc0\\udcaf\\udced\\udca0\\udc80'"}, /* "/" too long, a
                                                                       surrogate */
        {"A/\xf4\x90\x80\x80\x80", "'A/\\udcf4\\udc90\\udc80\\udc80\\udc80'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_string_equal(as_json(names[i].bytes, "report[\"roots\"][0]"), names[i].read);
    }
    assert_string_equal(as_json("A/\xff\xc3", "os.fsencode(report[\"roots\"][0])"),
                        "b'A/\\xff\\xc3'");
}

static void says_that_it_was_active(void **state)
{
    (void)state;
    assert_string_equal(
        as_json("A/sw\n", "(report[\"active\"], report[\"why\"], report[\"ranks\"])"),
        "(True, None, 2)");
    assert_int_equal(scratch_count("."), 1);
}

static int write_idle(void *where)
{
    report_write_idle(NULL, "not wanted");
    report_write_idle(where, "no \"MPI\"");
    report_write_idle(where, "a second reason");
    return 0;
}

/* The same fields as where something was. */
static void says_why_nothing_was_served(void **state)
{
    char fields[1024];

    (void)state;
    snprintf(fields, sizeof fields, "%s", as_json("A/sw\n", "sorted(report)"));
    assert_int_equal(in_child(write_idle, (void *)scratch_path("idle")), 0);
    assert_string_equal(python("idle", "sorted(report)"), fields);
    assert_string_equal(python("idle", "(report[\"active\"], report[\"why\"])"),
                        "(False, 'no \"MPI\"')");
    assert_string_equal(python("idle", "report[\"calls\"][\"open\"]"),
                        "{'intercepted': 0, 'served': 0}");
    capture_begin();
    assert_int_equal(in_child(write_idle, "stderr"), 0);
    text_has(capture_end(), "fastimport ", " was not active: nothing was served: no \"MPI\"\n");
}

/* Two ranks on two nodes: 100 calls each, of which one was made on the file system after all. */
static void answers_the_users_questions(void **state)
{
    struct report_facts f = facts("A/sw\nX/sw/data\n");
    struct fi_counters counters[2] = {0};
    struct report_answers a;

    (void)state;
    f.nodes = 2;
    f.startup_seconds = 3;
    for (int i = 0; i < 2; i++) {
        counters[i].intercepted[CALL_STAT] = 100;
        counters[i].served[CALL_STAT] = 100 - (uint64_t)i;
        counters[i].init_ns = (uint64_t)(i + 1) * 250000000;
    }
    counters[0].lookups = 9;
    counters[0].bytes_read = 5000000;
    counters[1].waiting_ns = 1500000000;
    a = answers_make(&f, counters, 2);
    assert_int_equal(a.operations.with, 10);
    assert_int_equal(a.operations.without, 200);
    assert_int_equal(a.bytes.without, 10000000);
    assert_float_equal(a.join, 0.5, 1e-9);
    capture_begin();
    report_write("stderr", &f, counters, 2);
    text_has(capture_end(), "was active in job 4711.0: 2 ranks on 2 nodes",
             "served: /sw, not /sw/data\n",
             "10 operations, not 200 (20 x less), 5.0 MB read, not 10.0 (2.0 x less)",
             "start: 3.00 s until", "met in 0.50", "answers 1.50");
}

/* No factor where nothing was needed, and none that would be a loss. */
static void has_no_factor_without_a_gain(void **state)
{
    struct report_facts f = facts("A/sw\n");
    struct fi_counters counters[2] = {0};

    (void)state;
    capture_begin();
    report_write("stderr", &f, counters, 2);
    text_has(capture_end(), "0 operations, not 0, 0.0 MB read, not 0.0\n");
    assert_string_equal(as_json("A/sw\n", "report[\"answers\"][\"operations\"]"),
                        "{'with': 0, 'without': 0, 'factor': None}");
}

/* The names that earlier versions wrote to are easily guessed. */
static void overwrites_nothing_of_the_users(void **state)
{
    char old[64];
    const char *const names[] = {"report", "report.partial", old};
    struct report_facts f = facts("");
    struct fi_counters counters[2] = {0};
    size_t size;
    char *text;

    (void)state;
    scratch_text("victim", "precious");
    snprintf(old, sizeof old, "report.partial-%d", (int)getpid());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(symlink(scratch_path("victim"), scratch_path(names[i])), 0);
    }
    report_write(scratch_path("report"), &f, counters, 2);
    text = scratch_read(scratch_path("victim"), &size);
    assert_string_equal(text, "precious");
    free(text);
    assert_string_equal(python("report", "report[\"active\"]"), "True");
}

static void a_failure_is_one_line(void **state)
{
    struct report_facts f = facts("");
    struct fi_counters counters[2] = {0};

    (void)state;
    capture_begin();
    report_write(scratch_path("none/report"), &f, counters, 2);
    assert_int_equal(occurrences(capture_end(), "none/report: No such file or directory\n"), 1);
}

/* A file of the environment may have any name. */
static void text_does_not_control_a_terminal(void **state)
{
    static struct report_libraries unserved;
    struct report_facts f = facts("");
    struct fi_counters counters[2] = {0};
    static const char named[] = "/sw/\x1b]0;x\x07.so\0why\x7f";
    const char *text;

    (void)state;
    report_libraries_add(&unserved, named, sizeof named, 0);
    f.unserved = &unserved;
    capture_begin();
    report_write("stderr", &f, counters, 2);
    text = capture_end();
    assert_non_null(strstr(text, "/sw/?]0;x?.so (why?)\n"));
    assert_null(strpbrk(text, "\x1b\x07\x7f"));
    report_libraries_free(&unserved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(names_are_any_bytes),
        scratch_test(says_that_it_was_active),
        scratch_test(says_why_nothing_was_served),
        cmocka_unit_test(answers_the_users_questions),
        scratch_test(has_no_factor_without_a_gain),
        scratch_test(overwrites_nothing_of_the_users),
        scratch_test(a_failure_is_one_line),
        cmocka_unit_test(text_does_not_control_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
