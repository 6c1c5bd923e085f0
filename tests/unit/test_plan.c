/* SPDX-License-Identifier: BSD-3-Clause */
/* service/plan and service/query: which file, what it must be, which of its names are looked up. */
#include "scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/path.h"
#include "base/protected_fd.h"
#include "cache/query.h"
#include "faults.h"
#include "fill/fill.h"
#include "plan/plan.h"
#include "plan/plan_file.h"

enum { SOMEBODY = 65534 };

static char *argv[] = {"python3", "app.py", NULL};
static const struct plan_identity identity = {2, argv, "A/sw/env\n"};
static struct fi_config config;
static char setting[FI_PATH_MAX + 16];

static void plan_use(const char *mode, const char *name)
{
    snprintf(setting, sizeof setting, "%s%s", mode, scratch_path(name));
    config.plan = setting;
}

/* The key of this test's environment. */
static uint64_t key(void)
{
    struct fi_config off = {.plan = "off"};
    struct plan plan;
    uint64_t k;

    plan_open(&plan, &off, &identity);
    k = plan.key;
    plan_close(&plan);
    return k;
}

/* A plan with the right key and checksum, of these lines. */
static void write_plan(const char *name, const char *lines)
{
    size_t room = strlen(lines) + 200;
    char *text = malloc(room);
    int n = snprintf(text, room, "fastimport plan 2\nkey %016" PRIx64 "\n%s", key(), lines);

    n += snprintf(text + n, room - (size_t)n, "end %016" PRIx64 "\n", fi_hash(text, (size_t)n, 0));
    scratch_write(name, text, (size_t)n, 0600);
    free(text);
}

/* Opens it, and returns the number of its entries; what was said is in `told`. */
static const char *told;

static size_t plan_open_plan(void)
{
    struct plan plan;
    size_t n;

    capture_begin();
    plan_open(&plan, &config, &identity);
    told = capture_end();
    n = plan.n;
    assert_int_equal(n, plan.loaded);
    plan_close(&plan);
    return n;
}

static void is_refused(const char *why)
{
    assert_int_equal(plan_open_plan(), 0);
    assert_int_equal(occurrences(told, "is not used"), 1);
    assert_int_equal(occurrences(told, "\n"), 1);
    if (strstr(told, why) == NULL) {
        fail_msg("'%s' is not in: %s", why, told);
    }
}

static void takes_what_it_wrote(void **state)
{
    (void)state;
    write_plan("plan", "1 0 0 0 /sw/env/a%0Ab%25\n6 1 2 10 /sw/env/x.so\n"
                       "7 2 0 0 /sw/env/x.so//liby.so%0AdU$ORIGIN/../lib\n");
    plan_use("use:", "plan");
    assert_int_equal(plan_open_plan(), 3);
    assert_string_equal(told, "");
    plan_use("record:", "plan");
    assert_int_equal(plan_open_plan(), 0);
}

static const struct {
    unsigned kind, argument;
    const char *path;
    bool sound;
} queries[] = {
    {RECORD_STAT, 0, "/sw/env/a", true},
    {RECORD_STAT, 0, "/", true},
    {RECORD_STAT, 0, "/sw/..a/b..", true},
    {RECORD_STAT, 0, "/sw/env/../a", false},
    {RECORD_STAT, 0, "/sw/env/..", false},
    {RECORD_STAT, 0, "/..", false},
    {RECORD_STAT, 0, "/sw/./a", false},
    {RECORD_STAT, 0, "/sw//a", false},
    {RECORD_STAT, 0, "/sw/a/", false},
    {RECORD_STAT, 0, "sw/a", false},
    {RECORD_STAT, 0, "", false},
    {RECORD_STAT, 1, "/sw/a", false},
    {RECORD_CONTENT, 1, "/sw/a", true},
    {RECORD_CONTENT, 2, "/sw/a", false},
    {RECORD_CONTENT, 0, "/sw/env/lib/../../../tmp/x", false},
    {RECORD_ACCESS, 15, "/sw/a", true},
    {RECORD_ACCESS, 16, "/sw/a", false},
    {RECORD_STALE, 0, "/sw/a", false},
    {RECORD_MIRROR, 0, "/sw/a", false},
    {RECORD_ORIGIN, 0, "/sw/a", false},
    {RECORD_ROOTS, 0, "/", false},
    {RECORD_UNSERVED, 0, "/sw/a", false},
    {0, 0, "/sw/a", false},
    {RECORD_KINDS, 0, "/sw/a", false},
    {255, 0, "/sw/a", false},
    {RECORD_LIBRARY, 0, "/sw/a.so", true},
    {RECORD_LIBRARY, 4, "/sw/a.so", false},
    {RECORD_LIBRARY, 0, "/sw/a.so//b.so\ndU", false},
    {RECORD_LIBRARY, 2, "/sw/a.so//b.so\ndU", true},
    {RECORD_LIBRARY, 3, "//b.so\nnR/x:$ORIGIN/../y", true},
    {RECORD_LIBRARY, 2, "/sw/a.so", false},
    {RECORD_LIBRARY, 2, "/sw/../a.so//b.so\ndU", true},
    {RECORD_LIBRARY, 2, "/sw/./a.so//b.so\ndU", true},
    {RECORD_LIBRARY, 2, "/sw/a.so//../b.so\ndU", false},
    {RECORD_LIBRARY, 2, "/sw/a.so///b.so\ndU", false},
    {RECORD_LIBRARY, 2, "/sw/a.so//\ndU", false},
    {RECORD_LIBRARY, 2, "/sw/a.so//b.so\nd", false},
    {RECORD_LIBRARY, 2, "/sw/a.so//b.so\nxU", false},
    {RECORD_LIBRARY, 2, "/sw/a.so//b.so\ndX", false},
    {RECORD_LIBRARY, 2, "sw/a.so//b.so\ndU", false},
};

static void write_entry(unsigned kind, unsigned argument, const char *path)
{
    char line[512];
    size_t n = (size_t)snprintf(line, sizeof line, "%u %x 0 0 ", kind, argument);

    for (; *path != '\0'; path++) {
        n += (size_t)snprintf(line + n, sizeof line - n, *path == '\n' ? "%%0A" : "%c", *path);
    }
    snprintf(line + n, sizeof line - n, "\n");
    write_plan("plan", line);
}

/* In a plan, and from another rank. */
static void refuses_names_that_are_not_normal(void **state)
{
    (void)state;
    plan_use("use:", "plan");
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct fi_query q = query_make((enum record_kind)queries[i].kind, queries[i].argument,
                                       queries[i].path, strlen(queries[i].path));

        if (query_is_sound(&q) != queries[i].sound) {
            fail_msg("%u %x %s", queries[i].kind, queries[i].argument, queries[i].path);
        }
        write_entry(queries[i].kind, queries[i].argument, queries[i].path);
        if (queries[i].sound) {
            assert_int_equal(plan_open_plan(), 1);
        } else {
            is_refused("makes no sense");
        }
    }
}

/* What follows the name of the line, in memory, is not part of it. */
static void refuses_escapes_that_are_cut_off(void **state)
{
    static const char *const lines[] = {
        "1 0 0 0 /sw/a%\n",  "1 0 0 0 /sw/a%4\n",  "1 0 0 0 /sw/a%4\n1 0 0 0 /sw/b\n",
        "1 0 0 0 /sw/%-1\n", "1 0 0 0 /sw/% 4x\n", "1 0 0 0 /sw/%00\n"};

    (void)state;
    plan_use("use:", "plan");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        write_plan("plan", lines[i]);
        is_refused("makes no sense");
    }
}

static void refuses_what_hides_in_a_name(void **state)
{
    char long_name[FI_PATH_MAX + 8];
    struct fi_query nul = query_make(RECORD_STAT, 0, "/sw/a\0/../b", 11);
    struct fi_query q;

    (void)state;
    assert_false(query_is_sound(&nul));
    memset(long_name, 'x', sizeof long_name);
    long_name[0] = '/';
    q = query_make(RECORD_STAT, 0, long_name, 256);
    assert_true(query_is_sound(&q));
    q = query_make(RECORD_STAT, 0, long_name, 257);
    assert_false(query_is_sound(&q));
    for (size_t i = 0; i < sizeof long_name; i += 2) {
        long_name[i] = '/';
    }
    q = query_make(RECORD_STAT, 0, long_name, FI_PATH_MAX - 2);
    assert_true(query_is_sound(&q));
    q = query_make(RECORD_STAT, 0, long_name, FI_PATH_MAX);
    assert_false(query_is_sound(&q));
}

static void answers_only_below_the_roots(void **state)
{
    static struct policy policy;
    static const char roots[] = "A/sw/env\nX/sw/env/secret\n";
    static const char *const paths[] = {"/sw/env/a", "/sw/env/secret/a", "/etc/passwd",
                                        "/sw/env/../x"};

    (void)state;
    policy_load(&policy, roots, strlen(roots));
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct fi_query q = query_make(RECORD_CONTENT, 0, paths[i], strlen(paths[i]));

        assert_int_equal(query_is_allowed(&q, &policy), i == 0);
    }
}

static void is_believed_from_its_user_only(void **state)
{
    (void)state;
    plan_use("", "plan");
    write_plan("plan", "1 0 0 0 /sw/env/a\n");
    assert_int_equal(plan_open_plan(), 1);
    assert_int_equal(chmod(scratch_path("plan"), 0620), 0);
    is_refused("chmod go-w");
    assert_int_equal(chmod(scratch_path("plan"), 0602), 0);
    is_refused("chmod go-w");
    assert_int_equal(chmod(scratch_path("plan"), 0644), 0);
    assert_int_equal(plan_open_plan(), 1);
    if (geteuid() == 0) {
        assert_int_equal(chown(scratch_path("plan"), SOMEBODY, SOMEBODY), 0);
        is_refused("belongs to another user");
    }
}

/* By a link of anybody's, too: what counts is the file that was opened. */
static void another_users_plan_is_not_replaced(void **state)
{
    struct plan plan;
    struct stat st;

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    write_plan("plan", "1 0 0 0 /sw/env/a\n");
    assert_int_equal(chown(scratch_path("plan"), SOMEBODY, SOMEBODY), 0);
    assert_int_equal(symlink("plan", scratch_path("link")), 0);
    plan_use("", "link");
    is_refused("belongs to another user");
    plan_use("", "plan");
    capture_begin();
    plan_open(&plan, &config, &identity);
    plan_save(&plan);
    assert_int_equal(occurrences(capture_end(), "\n"), 1);
    plan_close(&plan);
    assert_int_equal(stat(scratch_path("plan"), &st), 0);
    assert_int_equal(st.st_uid, SOMEBODY);
}

static void waits_for_nothing_that_is_no_file(void **state)
{
    struct plan plan;
    time_t start = time(NULL);

    (void)state;
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
    assert_int_equal(mkdir(scratch_path("directory"), 0700), 0);
    plan_use("", "fifo");
    is_refused("no regular file");
    plan_use("", "directory");
    is_refused("no regular file");
    config.plan = "use:/dev/zero";
    is_refused("no regular file");
    plan_use("use:", "none");
    is_refused("No such file");
    assert_true(time(NULL) - start < 5);
    plan_use("", "fifo"); /* one line, and the FIFO stays */
    capture_begin();
    plan_open(&plan, &config, &identity);
    plan_save(&plan);
    assert_int_equal(occurrences(capture_end(), "\n"), 1);
    plan_close(&plan);
    assert_int_equal(scratch_count("."), 2);
}

static void has_a_bound(void **state)
{
    static const char line[] = "1 0 0 0 /\n";
    size_t n = PLAN_MAX_ENTRIES + 1;
    char *lines = malloc(n * (sizeof line - 1) + 1);

    (void)state;
    scratch_text("plan", "fastimport plan 2\n");
    assert_int_equal(truncate(scratch_path("plan"), PLAN_FILE_BYTES + 1L), 0);
    plan_use("", "plan");
    is_refused("larger than 64 MiB");
    assert_non_null(lines);
    for (size_t i = 0; i < n; i++) {
        memcpy(lines + i * (sizeof line - 1), line, sizeof line);
    }
    write_plan("plan", lines);
    is_refused("a million entries");
    lines[PLAN_MAX_ENTRIES * (sizeof line - 1)] = '\0';
    write_plan("plan", lines);
    assert_int_equal(plan_open_plan(), PLAN_MAX_ENTRIES);
    free(lines);
}

/* One warning a job, whether the plan can be written or not; it heals what is the user's. */
static void a_damaged_one_is_replaced(void **state)
{
    struct plan plan;

    (void)state;
    scratch_text("plan", "something else\n");
    plan_use("", "plan");
    for (int writable = 0; writable < 2; writable++) {
        capture_begin();
        plan_open(&plan, &config, &identity);
        fault_arm(FAULT_sys_rename, -EACCES, 0, writable == 0);
        plan_save(&plan);
        assert_int_equal(occurrences(capture_end(), "\n"), 1);
        fault_clear();
        plan_close(&plan);
    }
    assert_int_equal(plan_open_plan(), 0);
    assert_string_equal(told, "");
}

static void the_default_directory_is_made(void **state)
{
    struct fi_config none = {.plan = NULL};
    struct plan plan;
    struct stat st;

    (void)state;
    setenv("XDG_CACHE_HOME", scratch_path("scratch/job/cache"), 1);
    capture_begin();
    plan_open(&plan, &none, &identity);
    plan_save(&plan);
    assert_string_equal(capture_end(), "");
    assert_int_equal(stat(plan.file, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    plan_close(&plan);
    assert_int_equal(stat(scratch_path("scratch"), &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    assert_int_equal(scratch_count("scratch/job/cache/fastimport"), 1);
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", scratch_path("home"), 1); /* not there, and not ours to make */
    plan_open(&plan, &none, &identity);
    plan_close(&plan);
    assert_false(scratch_has("home"));
}

/* What was touched of libraries comes back, the newest of each file. */
static void remembers_what_was_touched(void **state)
{
    static struct record_extent parts[][2] = {{{0, 3}, {5, 1}}, {{7, 2}, {0x1234, 0xff}}};
    struct plan_touched one = {.file = {11, 22, -33, 999999999}, .parts = parts[0], .n = 2};
    struct plan_touched two = {.file = {11, 22, -33, 0}, .parts = parts[1], .n = 1, .age = 4};
    struct plan plan;

    (void)state;
    plan_use("", "plan");
    plan_open(&plan, &config, &identity);
    assert_true(plan_add_touched(&plan, &one) && plan_add_touched(&plan, &two));
    one.parts = parts[1];
    assert_true(plan_add_touched(&plan, &one));
    two.file.inode++;
    two.age = PLAN_MAX_AGE; /* is not written any more */
    assert_true(plan_add_touched(&plan, &two));
    plan_save(&plan);
    plan_close(&plan);
    plan_open(&plan, &config, &identity);
    assert_int_equal(plan.n_touched, 2);
    assert_memory_equal(&plan.touched[0].file, &one.file, sizeof one.file);
    assert_int_equal(plan.touched[0].n, 2);
    assert_memory_equal(plan.touched[0].parts, parts[1], sizeof parts[1]);
    assert_int_equal(plan.touched[1].n, 1);
    assert_int_equal(plan.touched[1].age, 4);
    plan_close(&plan);
}

/* --- what a run adds --- */

static void plan_look(struct fill *fill, enum record_kind kind, const char *name)
{
    const char *path = scratch_path(name);
    struct fi_query q = query_make(kind, 0, path, strlen(path));
    enum fallback_reason why;

    assert_non_null(fill_get(fill, &q, NULL, &why));
}

static bool plan_has(const struct plan *plan, enum record_kind kind, const char *name)
{
    const char *path = scratch_path(name);

    for (size_t i = 0; i < plan->n; i++) {
        if (plan->entries[i].kind == kind && strcmp(plan->entries[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* A rank asks for names before the listing of their directory has come. */
static void leaves_out_what_a_listing_says(void **state)
{
    static const char *const names[] = {"listed/there", "listed/none", "listed/.none",
                                        "other/none"};
    struct node_cache node;
    struct fill fill;
    struct plan plan;

    (void)state;
    assert_int_equal(node_create(&node, scratch(), 2), 0);
    fill_init(&fill, &node, true, 1 << 20, 150);
    atomic_store(&node.index.header->state, SERVICE_RUNNING);
    mkdir(scratch_path("listed"), 0755);
    mkdir(scratch_path("other"), 0755);
    scratch_text("listed/there", "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        plan_look(&fill, RECORD_STAT, names[i]);
    }
    plan_look(&fill, RECORD_LIST, "listed");
    plan_use("record:", "plan");
    plan_open(&plan, &config, &identity);
    plan_merge(&plan, &node.index, false);
    assert_true(plan_has(&plan, RECORD_LIST, "listed"));
    assert_true(plan_has(&plan, RECORD_STAT, "listed/there"));
    assert_false(plan_has(&plan, RECORD_STAT, "listed/none"));
    assert_true(plan_has(&plan, RECORD_STAT, "listed/.none")); /* file servers hide some of these */
    assert_true(plan_has(&plan, RECORD_STAT, "other/none"));
    plan_close(&plan);
    segment_detach(&node.index);
    protected_fd_close(node.lock);
}

static void refuses_lists_that_make_no_sense(void **state)
{
    static const char *const lines[] = {"touched 1 2 3 4 0 0+1 1+1\n",
                                        "touched 1 2 3 4 0 5+1 3+1\n",
                                        "touched 1 2 3 4 0 0+0\n",
                                        "touched 1 2 3 4 0 0+1 x\n",
                                        "touched 1 2 3 4 0 0\n",
                                        "touched 1 2 3 4 9 0+1\n",
                                        "touched 1 2 3 0+1\n",
                                        "touched 1 2 3 4 0 0+fffffffffffffff\n",
                                        "touched\n"};

    (void)state;
    plan_use("", "plan");
    write_plan("plan", "touched 1 2 3 4 0 0+1 2+1\n1 0 0 0 /sw/env/a\n");
    assert_int_equal(plan_open_plan(), 1);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        write_plan("plan", lines[i]);
        is_refused("makes no sense");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(takes_what_it_wrote),
        scratch_test(refuses_names_that_are_not_normal),
        scratch_test(refuses_escapes_that_are_cut_off),
        cmocka_unit_test(refuses_what_hides_in_a_name),
        cmocka_unit_test(answers_only_below_the_roots),
        scratch_test(is_believed_from_its_user_only),
        scratch_test(another_users_plan_is_not_replaced),
        scratch_test(waits_for_nothing_that_is_no_file),
        scratch_test(has_a_bound),
        scratch_test(a_damaged_one_is_replaced),
        scratch_test(the_default_directory_is_made),
        scratch_test(remembers_what_was_touched),
        scratch_test(refuses_lists_that_make_no_sense),
        scratch_test(leaves_out_what_a_listing_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
