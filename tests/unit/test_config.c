/* SPDX-License-Identifier: BSD-3-Clause */
/* config: every variable, good values and bad ones. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "process/config.h"

/* The values live as long as the process, by contract. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:parse_text";
}

static char warnings[4096];
static int n_warnings;

static void config_note(const char *sentence)
{
    strncat(warnings, sentence, sizeof warnings - strlen(warnings) - 1);
    n_warnings++;
}

static const char *const variables[] = {
    "FASTIMPORT",         "FASTIMPORT_PATH",     "FASTIMPORT_EXCLUDE", "FASTIMPORT_FS",
    "FASTIMPORT_DIR",     "FASTIMPORT_MAX_FILE", "FASTIMPORT_MPI",     "FASTIMPORT_WAIT_MS",
    "FASTIMPORT_JOIN_MS", "FASTIMPORT_IDLE_MS",  "FASTIMPORT_PLAN",    "FASTIMPORT_REPORT",
    "FASTIMPORT_LOG",     "FASTIMPORT_LOG_FILE", "FASTIMPORT_DILATE"};

static int config_forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i]);
    }
    warnings[0] = '\0';
    n_warnings = 0;
    return 0;
}

static struct fi_config read_config(const char *name, const char *value)
{
    struct fi_config c;

    config_forget(NULL);
    setenv(name, value, 1);
    config_load(&c, config_note);
    return c;
}

static void has_defaults(void **state)
{
    struct fi_config c;

    (void)state;
    config_load(&c, config_note);
    assert_true(c.enabled);
    assert_int_equal(c.fs, FI_FS_NETWORK);
    assert_string_equal(c.dir, "/dev/shm");
    assert_int_equal(c.max_file, 2ULL << 30);
    assert_int_equal(c.wait_ms, 5000);
    assert_int_equal(c.join_ms, 60000);
    assert_int_equal(c.idle_ms, 10000);
    assert_int_equal(c.log, LOG_WARN);
    assert_null(c.path);
    assert_null(c.exclude);
    assert_null(c.mpi);
    assert_null(c.plan);
    assert_null(c.report);
    assert_null(c.log_file);
    assert_int_equal(n_warnings, 0);
}

static void takes_good_values(void **state)
{
    (void)state;
    assert_false(read_config("FASTIMPORT", "0").enabled);
    assert_true(read_config("FASTIMPORT", "1").enabled);
    assert_string_equal(read_config("FASTIMPORT_PATH", "/a:/b").path, "/a:/b");
    assert_string_equal(read_config("FASTIMPORT_EXCLUDE", "/x").exclude, "/x");
    assert_int_equal(read_config("FASTIMPORT_FS", "all").fs, FI_FS_ALL);
    assert_int_equal(read_config("FASTIMPORT_FS", "net").fs, FI_FS_NETWORK);
    assert_string_equal(read_config("FASTIMPORT_DIR", "/tmp").dir, "/tmp");
    assert_int_equal(read_config("FASTIMPORT_MAX_FILE", "100").max_file, 100);
    assert_int_equal(read_config("FASTIMPORT_MAX_FILE", "3k").max_file, 3 << 10);
    assert_int_equal(read_config("FASTIMPORT_MAX_FILE", "3K").max_file, 3 << 10);
    assert_int_equal(read_config("FASTIMPORT_MAX_FILE", "5M").max_file, 5 << 20);
    assert_int_equal(read_config("FASTIMPORT_MAX_FILE", "7G").max_file, 7ULL << 30);
    assert_int_equal(read_config("FASTIMPORT_MAX_FILE", "1T").max_file, 1ULL << 40);
    assert_string_equal(read_config("FASTIMPORT_MPI", "libmpi.so").mpi, "libmpi.so");
    assert_int_equal(read_config("FASTIMPORT_WAIT_MS", "1").wait_ms, 1);
    assert_int_equal(read_config("FASTIMPORT_JOIN_MS", "2").join_ms, 2);
    assert_true(read_config("FASTIMPORT_DILATE", "1.5").dilate == 1.5);
    assert_int_equal(read_config("FASTIMPORT_IDLE_MS", "3").idle_ms, 3);
    assert_string_equal(read_config("FASTIMPORT_PLAN", "off").plan, "off");
    assert_string_equal(read_config("FASTIMPORT_REPORT", "stderr").report, "stderr");
    assert_int_equal(read_config("FASTIMPORT_LOG", "error").log, LOG_ERROR);
    assert_int_equal(read_config("FASTIMPORT_LOG", "info").log, LOG_INFO);
    assert_int_equal(read_config("FASTIMPORT_LOG", "debug").log, LOG_DEBUG);
    assert_string_equal(read_config("FASTIMPORT_LOG_FILE", "log.%r").log_file, "log.%r");
    assert_int_equal(n_warnings, 0);
    assert_true(read_config("FASTIMPORT", "").enabled); /* empty is unset */
    assert_int_equal(n_warnings, 0);
}

static void names_a_bad_value_once(void **state)
{
    static const struct {
        const char *variable, *value, *used;
    } cases[] = {
        {"FASTIMPORT", "yes", "1"},
        {"FASTIMPORT_FS", "nfs", "net"},
        {"FASTIMPORT_DIR", "relative", "/dev/shm"},
        {"FASTIMPORT_MAX_FILE", "12Q", "2G"},
        {"FASTIMPORT_MAX_FILE", "-1", "2G"},
        {"FASTIMPORT_MAX_FILE", "1MB", "2G"},
        {"FASTIMPORT_MAX_FILE", "M", "2G"},
        {"FASTIMPORT_MAX_FILE", "99999999999G", "2G"},
        {"FASTIMPORT_MAX_FILE", "99999999999999999999", "2G"},
        {"FASTIMPORT_WAIT_MS", "soon", "5000"},
        {"FASTIMPORT_WAIT_MS", "-5", "5000"},
        {"FASTIMPORT_WAIT_MS", "5s", "5000"},
        {"FASTIMPORT_WAIT_MS", " -5", "5000"},
        {"FASTIMPORT_WAIT_MS", "18446744073709551615", "5000"}, /* in ns no number */
        {"FASTIMPORT_JOIN_MS", "1.5", "60000"},
        {"FASTIMPORT_IDLE_MS", "x", "10000"},
        {"FASTIMPORT_DILATE", "0.5", "1"},
        {"FASTIMPORT_DILATE", "nan", "1"},
        {"FASTIMPORT_DILATE", "2x", "1"},
        {"FASTIMPORT_LOG", "loud", "warn"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[256];
        struct fi_config c = read_config(cases[i].variable, cases[i].value);
        struct fi_config defaults;

        snprintf(expected, sizeof expected, "%s=%s is not ", cases[i].variable, cases[i].value);
        assert_non_null(strstr(warnings, expected));
        snprintf(expected, sizeof expected, "; using %s", cases[i].used);
        assert_non_null(strstr(warnings, expected));
        assert_int_equal(n_warnings, 1);
        config_forget(NULL);
        config_load(&defaults, NULL);
        assert_memory_equal(&c, &defaults, sizeof c);
    }
}

static void is_silent_when_told(void **state)
{
    struct fi_config c;

    (void)state;
    setenv("FASTIMPORT_LOG", "loud", 1);
    config_load(&c, NULL);
    assert_int_equal(c.log, LOG_WARN);
    assert_int_equal(n_warnings, 0);
}

static void survives_without_memory(void **state)
{
    struct fi_config c;

    (void)state;
    setenv("FASTIMPORT_DIR", "/somewhere", 1);
    fault_arm(FAULT_strdup, 1, 0, ALWAYS);
    config_load(&c, config_note);
    fault_clear();
    assert_string_equal(c.dir, "/dev/shm");
    assert_int_equal(n_warnings, 1);
}

static void names_what_is_no_setting(void **state)
{
    static char *const good[] = {"PATH=/bin",
                                 "FASTIMPORT=1",
                                 "FASTIMPORT_PLAN=off",
                                 "FASTIMPORT_BELOW_SHELL=start",
                                 "FASTIMPORT_NODE=1",
                                 "FASTIMPORT_WARNED=1",
                                 "FASTIMPORT_LIBRARY_NAMES=x",
                                 "FASTIMPORT_TEST_PYTHONS=/x",
                                 "FASTIMPORTER=1",
                                 NULL};
    static char *const bad[] = {"FASTIMPORT_RAPORT=r",
                                "FASTIMPORT_PLAN=off",
                                "FASTIMPORT_path=/a",
                                "FASTIMPORT_MAXFILE=1",
                                "FASTIMPORT_X=1",
                                "FASTIMPORT_=",
                                NULL};
    static char long_name[5000] = "FASTIMPORT_";
    char *many[100];

    (void)state;
    config_name_unknown(good, config_note);
    assert_int_equal(n_warnings, 0);
    config_name_unknown(bad, config_note);
    assert_int_equal(n_warnings, 1);
    assert_string_equal(warnings, "not a setting of fastimport: "
                                  "FASTIMPORT_RAPORT (did you mean FASTIMPORT_REPORT?), "
                                  "FASTIMPORT_path (did you mean FASTIMPORT_PATH?), "
                                  "FASTIMPORT_MAXFILE (did you mean FASTIMPORT_MAX_FILE?), "
                                  "FASTIMPORT_X, FASTIMPORT_");
    config_forget(NULL);
    memset(long_name + 11, 'x', sizeof long_name - 12);
    for (size_t i = 0; i < 99; i++) {
        many[i] = long_name;
    }
    many[99] = NULL;
    config_name_unknown(many, config_note);
    assert_int_equal(n_warnings, 1);
    assert_true(strlen(warnings) > 500 && strlen(warnings) < 1000);
}

static void expands_names(void **state)
{
    char host[256] = "";
    char expected[512];
    char out[512];

    (void)state;
    gethostname(host, sizeof host - 1);
    assert_true(config_expand("l.%h.%r.%p.%%.%x.%", 7, out, sizeof out));
    snprintf(expected, sizeof expected, "l.%s.7.%d.%%.%%x.%%", host, (int)getpid());
    assert_string_equal(out, expected);
    assert_false(config_expand("0123456789", 0, out, 10));
    assert_true(config_expand("0123456789", 0, out, 11));
    assert_string_equal(out, "0123456789");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(has_defaults, config_forget),
        cmocka_unit_test_setup(takes_good_values, config_forget),
        cmocka_unit_test_setup(names_a_bad_value_once, config_forget),
        cmocka_unit_test_setup(is_silent_when_told, config_forget),
        cmocka_unit_test_setup(survives_without_memory, config_forget),
        cmocka_unit_test_setup(names_what_is_no_setting, config_forget),
        cmocka_unit_test_setup(expands_names, config_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
