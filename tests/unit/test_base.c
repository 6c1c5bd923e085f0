/* SPDX-License-Identifier: BSD-3-Clause */
/* base: paths as strings, the link map, the log, system calls. */
#include "scratch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/dilation.h"
#include "base/fs_view.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "faults.h"
#include "ldso/linkmap.h"

static const struct {
    const char *path, *normal; /* NULL: refused */
    bool must_be_directory, has_dotdot;
} normal_forms[] = {
    {"/", "/", false, false},
    {"//", "/", false, false},
    {"/a", "/a", false, false},
    {"/a/", "/a", true, false},
    {"/a/.", "/a", true, false},
    {"/a/./", "/a", true, false},
    {"//a///b//", "/a/b", true, false},
    {"/./a/./b", "/a/b", false, false},
    {"/a/../b", "/a/../b", false, true},
    {"/a/..", "/a/..", true, true},
    {"/..a/b..", "/..a/b..", false, false},
    {"/a/...", "/a/...", false, false},
    {"b", "/cwd/b", false, false},
    {"./b", "/cwd/b", false, false},
    {".", "/cwd", true, false},
    {"b/", "/cwd/b", true, false},
    {"..", "/cwd/..", true, true},
    {"a\nb", "/cwd/a\nb", false, false},
    {"\xff\xfe", "/cwd/\xff\xfe", false, false},
    {"", NULL, false, false},
};

static void normalises(void **state)
{
    struct fi_path p;

    (void)state;
    for (size_t i = 0; i < sizeof normal_forms / sizeof *normal_forms; i++) {
        bool ok = path_normalise(&p, "/cwd", normal_forms[i].path);

        assert_int_equal(ok, normal_forms[i].normal != NULL);
        if (ok) {
            assert_string_equal(p.text, normal_forms[i].normal);
            assert_int_equal(p.length, strlen(p.text));
            assert_int_equal(p.must_be_directory, normal_forms[i].must_be_directory);
            assert_int_equal(p.has_dotdot, normal_forms[i].has_dotdot);
        }
    }
}

static void refuses_what_is_too_long(void **state)
{
    static char path[2 * FI_PATH_MAX];
    struct fi_path p;

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[1 + FI_NAME_MAX] = '\0';
    assert_true(path_normalise(&p, "/", path));
    path[1 + FI_NAME_MAX] = 'x';
    path[2 + FI_NAME_MAX] = '\0';
    assert_false(path_normalise(&p, "/", path));
    for (size_t i = 0; i < sizeof path - 1; i++) {
        path[i] = i % 2 == 0 ? '/' : 'x';
    }
    path[FI_PATH_MAX] = '\0';
    assert_false(path_normalise(&p, "/", path));
    path[FI_PATH_MAX - 2] = '\0';
    assert_true(path_normalise(&p, "/", path));
    assert_int_equal(p.length, FI_PATH_MAX - 2);
    assert_false(path_normalise(&p, "/cwd", path + 1)); /* together too long */
}

static void compares_prefixes_by_component(void **state)
{
    static const struct {
        const char *path, *prefix;
        bool is;
    } cases[] = {{"/a", "/a", true},    {"/a/b", "/a", true},     {"/ab", "/a", false},
                 {"/a", "/a/b", false}, {"/a", "/", true},        {"/", "/", true},
                 {"/b", "/a", false},   {"/aa/b", "/aa/b", true}, {"/a.b", "/a", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(path_has_prefix(cases[i].path, strlen(cases[i].path), cases[i].prefix,
                                         strlen(cases[i].prefix)),
                         cases[i].is);
    }
}

static void cuts_and_joins(void **state)
{
    char buf[8];

    (void)state;
    assert_int_equal(path_parent_length("/a/b", 4), 2);
    assert_int_equal(path_parent_length("/a", 2), 1);
    assert_int_equal(path_parent_length("/", 1), 0);
    assert_int_equal(path_parent_length("/a/bc/d", 5), 2);
    assert_string_equal(path_name("/a/bc", 5), "bc");
    assert_string_equal(path_name("bc", 2), "bc");
    assert_true(path_ends_with("x.py", ".py"));
    assert_false(path_ends_with("py", ".py"));
    assert_true(path_join(buf, sizeof buf, "/a", "bcde"));
    assert_string_equal(buf, "/a/bcde");
    assert_false(path_join(buf, sizeof buf, "/a", "bcdef"));
    strcpy(buf, "/x");
    assert_true(path_join(buf, sizeof buf, buf, "y")); /* in place */
    assert_string_equal(buf, "/x/y");
}

static void knows_what_is_loaded(void **state)
{
    struct linkmap_list list;
    bool found = false;

    (void)state;
    assert_true(linkmap_all(&list));
    assert_true(list.n > 2);
    assert_string_equal(list.objects[0].name, ""); /* the executable comes first */
    assert_null(list.objects[0].soname);
    for (size_t i = 0; i < list.n; i++) {
        found |= list.objects[i].soname != NULL && strcmp(list.objects[i].soname, "libc.so.6") == 0;
    }
    assert_true(found);
    assert_true(linkmap_has(&list, "libc.so.6"));
    assert_false(linkmap_has(&list, "libc.so"));
    for (int skip = 0; skip < 3; skip++) { /* growing the list fails */
        struct linkmap_list none;

        fault_arm(FAULT_realloc, 1, skip, 1);
        assert_int_equal(linkmap_all(&none), false);
    }
    linkmap_free(&list);
}

static void logs_one_line(void **state)
{
    char long_text[3000];
    const char *text;

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    log_configure(LOG_INFO, NULL, 3);
    errno = 77;
    capture_begin();
    fi_log(LOG_WARN, "%s", "hello");
    fi_log(LOG_DEBUG, "%s", "not this");
    for (int i = 0; i < 3; i++) {
        fi_log_once(LOG_INFO, "only once");
    }
    fi_log(LOG_ERROR, "%s", long_text);
    text = capture_end();
    assert_int_equal(errno, 77);
    assert_non_null(strstr(text, "fastimport: rank 3: warning: hello\n"));
    assert_null(strstr(text, "not this"));
    assert_int_equal(occurrences(text, "only once"), 1);
    assert_int_equal(occurrences(text, "\n"), 3); /* the long one is cut, not split */
    assert_int_equal(text[strlen(text) - 1], '\n');
    log_configure(LOG_WARN, NULL, -1);
}

static void logs_to_a_file(void **state)
{
    size_t size;
    char *text;

    (void)state;
    assert_int_equal(log_configure(LOG_WARN, scratch_path("no/such/log"), -1), -ENOENT);
    capture_begin();
    fi_log(LOG_ERROR, "number %d", 6);
    assert_string_equal(capture_end(), "fastimport: error: number 6\n");
    capture_begin();
    fi_log(LOG_ERROR, "%s", "a\nb\x1b[2Jc\x7f\xc3\xa9");
    assert_string_equal(capture_end(), "fastimport: error: a?b?[2Jc?\xc3\xa9\n");
    assert_int_equal(log_configure(LOG_WARN, scratch_path("log"), -1), 0);
    fi_log(LOG_ERROR, "number %d", 7);
    text = scratch_read(scratch_path("log"), &size);
    assert_string_equal(text, "fastimport: error: number 7\n");
    free(text);
}

/* Its descriptor is closed behind our back, and its number is another file's. */
static int logs_into_another_file(void *unused)
{
    int files[1000];
    struct stat st;

    (void)unused;
    log_configure(LOG_WARN, scratch_path("log"), -1);
    syscall(SYS_close_range, 3, ~0U, 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        files[i] = sys_memory_file("the program's");
    }
    fi_log(LOG_ERROR, "number %d", 7);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (fstat(files[i], &st) == 0 && st.st_size != 0) {
            return 1;
        }
    }
    return 0;
}

static void never_logs_into_another_file(void **state)
{
    (void)state;
    assert_int_equal(in_child(logs_into_another_file, NULL), 0);
}

static int logs_after_standard_error(void *unused)
{
    struct stat st;
    int fd;

    (void)unused;
    log_configure(LOG_WARN, NULL, -1);
    close(STDERR_FILENO);
    log_error_closed();
    fd = sys_memory_file("the program's");
    fi_log(LOG_ERROR, "number %d", 7);
    if (fd != STDERR_FILENO || fstat(fd, &st) != 0 || st.st_size != 0) {
        return 1;
    }
    log_error_opened();
    fi_log(LOG_ERROR, "number %d", 7);
    return fstat(fd, &st) == 0 && st.st_size > 0 ? 0 : 2;
}

static void never_logs_into_what_is_opened_after_standard_error(void **state)
{
    (void)state;
    assert_int_equal(in_child(logs_after_standard_error, NULL), 0);
}

static void system_calls_leave_errno_alone(void **state)
{
    struct stat st;
    char buf[16];
    int fd;

    (void)state;
    scratch_text("f", "0123456789");
    errno = 77;
    assert_int_equal(sys_open(scratch_path("none"), O_RDONLY, 0), -ENOENT);
    assert_int_equal(sys_lstat(scratch_path("none"), &st), -ENOENT);
    assert_int_equal(sys_access(scratch_path("f"), R_OK, false), 0);
    assert_int_equal(sys_access(scratch_path("f"), R_OK, true), 0);
    assert_null(sys_mmap(0, 0, 0, -1, 0));
    assert_int_equal(sys_read_file(scratch_path("f"), buf, sizeof buf), 10);
    assert_string_equal(buf, "0123456789");
    assert_int_equal(sys_read_file(scratch_path("f"), buf, 4), 3);
    assert_string_equal(buf, "012");
    assert_int_equal(sys_read_file(scratch_path("none"), buf, 4), -ENOENT);
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
    alarm(20); /* nobody writes into it */
    assert_int_equal(sys_read_file(scratch_path("fifo"), buf, 4), 0);
    alarm(0);
    fd = sys_open(scratch_path("f"), O_RDWR, 0);
    assert_int_equal(sys_pread_all(fd, buf, 16, 4), 6); /* short at the end */
    assert_int_equal(sys_pread_all(-1, buf, 16, 4), -EBADF);
    assert_int_equal(sys_pwrite_all(fd, "abc", 3, 10), 0);
    assert_int_equal(sys_pwrite_all(-1, "abc", 3, 10), -EBADF);
    assert_int_equal(sys_fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 13);
    assert_int_equal(sys_close(fd), 0);
    assert_int_equal(errno, 77);
    assert_int_equal(sys_getpid(), getpid());
}

/* Of reads and writes, while `halting`: every other one is interrupted, the rest move one byte. */
static bool halting;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    static unsigned calls;
    long a[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(args, long);
    }
    va_end(args);
    if (halting && (number == SYS_pread64 || number == SYS_pwrite64)) {
        if (calls++ % 2 == 0) {
            errno = EINTR;
            return -1;
        }
        a[2] = a[2] > 1 ? 1 : a[2];
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void goes_on_after_short_reads_and_writes(void **state)
{
    char buf[16] = "";
    int fd;

    (void)state;
    scratch_text("f", "0123456789");
    fd = sys_open(scratch_path("f"), O_RDWR, 0);
    halting = true;
    assert_int_equal(sys_pread_all(fd, buf, 5, 2), 5);
    assert_string_equal(buf, "23456");
    assert_int_equal(sys_pwrite_all(fd, "abcde", 5, 8), 0);
    assert_int_equal(sys_pread_all(fd, buf, 16, 0), 13);
    assert_memory_equal(buf, "01234567abcde", 13);
    halting = false;
    assert_int_equal(sys_close(fd), 0);
}

enum { CANNOT = 77 };

static int in_another_namespace(void *before)
{
    return unshare(CLONE_NEWNS) != 0 ? CANNOT : fs_view_identity() != *(uint64_t *)before;
}

static int in_another_root(void *before)
{
    return chroot(scratch()) != 0 ? CANNOT : fs_view_identity() != *(uint64_t *)before;
}

static int in_the_same_root(void *before)
{
    return chroot("/") != 0 ? CANNOT : fs_view_identity() == *(uint64_t *)before;
}

static void a_view_is_a_namespace_and_a_root(void **state)
{
    uint64_t before = fs_view_identity();

    (void)state;
    assert_int_not_equal(before, 0);
    assert_int_equal(fs_view_identity(), before);
    if (geteuid() == 0) {
        assert_int_equal(in_child(in_another_namespace, &before), 1);
        assert_int_equal(in_child(in_another_root, &before), 1);
        assert_int_equal(in_child(in_the_same_root, &before), 1);
    }
}

static void times_are_dilated(void **state)
{
    (void)state;
    dilation_set(4);
    assert_int_equal(dilation_real(100), 400);
    assert_int_equal(dilation_ours(400), 100);
    assert_int_equal(dilation_real(INT64_MAX), INT64_MAX);
    dilation_set(1);
    assert_int_equal(dilation_real(100), 100);
    assert_int_equal(dilation_ours(100), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalises),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(compares_prefixes_by_component),
        cmocka_unit_test(cuts_and_joins),
        scratch_test(knows_what_is_loaded),
        cmocka_unit_test(logs_one_line),
        cmocka_unit_test(times_are_dilated),
        scratch_test(logs_to_a_file),
        scratch_test(never_logs_into_another_file),
        scratch_test(never_logs_into_what_is_opened_after_standard_error),
        scratch_test(system_calls_leave_errno_alone),
        scratch_test(goes_on_after_short_reads_and_writes),
        scratch_test(a_view_is_a_namespace_and_a_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
