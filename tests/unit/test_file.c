/* SPDX-License-Identifier: BSD-3-Clause */
/* base/file: what is written for the user, where somebody has put something else in its place. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "faults.h"

enum { SOMEBODY = 65534 };

static void needs_root(void)
{
    if (geteuid() != 0) {
        print_message("this makes files of another user: needs root\n");
        skip();
    }
}

static void assert_text(const char *name, const char *expected)
{
    size_t size;
    char *text = scratch_read(scratch_path(name), &size);

    assert_string_equal(text, expected);
    free(text);
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(scratch_path(name), &st), 0);
    return st.st_mode;
}

static int put_file(const char *name, const char *text)
{
    return file_put(scratch_path(name), text, strlen(text), 0644);
}

static int replace_file(const char *name, const char *text)
{
    return file_replace(scratch_path(name), text, strlen(text), 0600);
}

static void replaces_a_file_whole(void **state)
{
    mode_t before = umask(027);

    (void)state;
    assert_int_equal(put_file("r", "first, and longer"), 0);
    assert_int_equal(mode_of("r"), S_IFREG | 0640);
    assert_int_equal(put_file("r", "second"), 0);
    assert_text("r", "second");
    assert_int_equal(replace_file("p", "plan"), 0);
    assert_int_equal(mode_of("p"), S_IFREG | 0600);
    assert_int_equal(scratch_count("."), 2); /* nothing beside them */
    umask(before);
}

/* Links in the file's place lead to what must stay as it is. */
static void follows_no_link(void **state)
{
    struct stat st;

    (void)state;
    scratch_text("victim", "precious");
    assert_int_equal(symlink(scratch_path("victim"), scratch_path("soft")), 0);
    assert_int_equal(symlink(scratch_path("none"), scratch_path("dangling")), 0);
    assert_int_equal(link(scratch_path("victim"), scratch_path("hard")), 0);
    assert_int_equal(put_file("soft", "report"), 0);
    assert_int_equal(put_file("dangling", "report"), 0);
    assert_int_equal(replace_file("hard", "plan"), 0);
    assert_text("victim", "precious");
    assert_int_equal(mode_of("soft"), S_IFREG | 0644);
    assert_false(scratch_has("none"));
    assert_text("hard", "plan");
    assert_int_equal(stat(scratch_path("victim"), &st), 0);
    assert_int_equal(st.st_nlink, 1);
}

static void leaves_alone_what_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("directory"), 0755), 0);
    assert_int_equal(mkfifo(scratch_path("fifo"), 0644), 0);
    assert_int_equal(symlink("fifo", scratch_path("link")), 0);
    assert_int_equal(put_file("directory", "x"), -EINVAL);
    assert_int_equal(replace_file("directory", "x"), -EINVAL);
    assert_int_equal(replace_file("fifo", "x"), -EINVAL);
    assert_int_equal(replace_file("link", "x"), -EINVAL);
    assert_int_equal(file_replace("/proc/self/fd/1", "x", 1, 0600), -EINVAL);
    assert_int_equal(put_file("fifo", "x"), -ENXIO); /* at once, without a reader */
    assert_int_equal(put_file("none/x", "x"), -ENOENT);
    assert_true(S_ISFIFO(mode_of("fifo")));
    assert_true(S_ISLNK(mode_of("link")));
    assert_int_equal(scratch_count("."), 3);
}

static void writes_to_what_takes_a_stream(void **state)
{
    char text[16] = "";
    char name[64];
    int ends[2];
    int reader;

    (void)state;
    assert_int_equal(mkfifo(scratch_path("fifo"), 0644), 0);
    reader = open(scratch_path("fifo"), O_RDONLY | O_NONBLOCK);
    assert_int_equal(put_file("fifo", "to it"), 0);
    assert_int_equal(read(reader, text, sizeof text), 5);
    assert_string_equal(text, "to it");
    close(reader);
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, i == 0 ? "/dev/fd/%d" : "/proc/self/fd/%d", ends[1]);
        assert_int_equal(file_put(name, "a pipe", 6, 0644), 0);
        assert_int_equal(read(ends[0], text, sizeof text), 6);
    }
    close(ends[0]);
    close(ends[1]);
}

/* In a /dev of its own: a rename there would break the machine's. */
static int put_to_standard_output(void *unused)
{
    char text[16] = "";
    struct stat st;
    int ends[2];

    (void)unused;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("unit", "/dev", "tmpfs", 0, NULL) != 0) {
        return 77;
    }
    if (symlink("/proc/self/fd/1", "/dev/stdout") != 0 || pipe(ends) != 0 ||
        dup2(ends[1], STDOUT_FILENO) < 0) {
        return 1;
    }
    if (file_put("/dev/stdout", "said", 4, 0644) != 0 || read(ends[0], text, 4) != 4 ||
        strcmp(text, "said") != 0) {
        return 2;
    }
    if (file_replace("/dev/stdout", "x", 1, 0644) != -EINVAL) {
        return 3;
    }
    return lstat("/dev/stdout", &st) == 0 && S_ISLNK(st.st_mode) ? 0 : 4;
}

static void standard_output_stays(void **state)
{
    int status = in_child(put_to_standard_output, NULL);

    (void)state;
    if (status == 77) {
        print_message("this needs the right to mount\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void a_device_stays_a_device(void **state)
{
    (void)state;
    needs_root();
    if (mknod(scratch_path("null"), S_IFCHR | 0666, makedev(1, 3)) != 0) {
        skip();
    }
    assert_int_equal(put_file("null", "x"), 0);
    assert_int_equal(replace_file("null", "x"), -EINVAL);
    assert_true(S_ISCHR(mode_of("null")));
}

static void a_reader_that_sleeps_is_not_waited_for(void **state)
{
    size_t size = 1 << 20;
    char *text = calloc(1, size);
    int reader;

    (void)state;
    assert_int_equal(mkfifo(scratch_path("fifo"), 0644), 0);
    reader = open(scratch_path("fifo"), O_RDONLY | O_NONBLOCK);
    assert_int_equal(file_put(scratch_path("fifo"), text, size, 0644), -EAGAIN);
    close(reader);
    free(text);
}

static int put_where_nobody_reads(void *name)
{
    sigset_t pending;

    return file_put(name, "x", 1, 0644) == -EPIPE && sigpending(&pending) == 0 &&
                   sigismember(&pending, SIGPIPE) == 0
               ? 0
               : 1;
}

static void a_reader_that_has_gone_is_no_signal(void **state)
{
    char name[64];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    assert_int_equal(in_child(put_where_nobody_reads, name), 0);
    close(ends[1]);
}

/* A FIFO in a directory that all may write to, by which somebody would read the report. */
static void what_is_somebody_elses_is_replaced(void **state)
{
    (void)state;
    needs_root();
    assert_int_equal(mkfifo(scratch_path("fifo"), 0666), 0);
    assert_int_equal(chown(scratch_path("fifo"), SOMEBODY, SOMEBODY), 0);
    assert_int_equal(symlink("/dev/null", scratch_path("link")), 0);
    assert_int_equal(lchown(scratch_path("link"), SOMEBODY, SOMEBODY), 0);
    assert_int_equal(put_file("fifo", "report"), 0);
    assert_text("fifo", "report");
    assert_int_equal(put_file("link", "report"), 0);
    assert_text("link", "report");
}

static void a_fault_leaves_the_old_one(void **state)
{
    (void)state;
    assert_int_equal(put_file("r", "old"), 0);
    fault_arm(FAULT_sys_write, -ENOSPC, 0, 1);
    assert_int_equal(put_file("r", "new"), -ENOSPC);
    fault_arm(FAULT_sys_rename, -EACCES, 0, 1);
    assert_int_equal(put_file("r", "new"), -EACCES);
    fault_arm(FAULT_sys_open, -EMFILE, 0, 1);
    assert_int_equal(put_file("r", "new"), -EMFILE);
    assert_text("r", "old");
    assert_int_equal(scratch_count("."), 1);
}

static int file_append(const char *name)
{
    int fd = file_open_to_append(scratch_path(name), 0644);

    if (fd >= 0) {
        assert_int_equal(write(fd, "line\n", 5), 5);
        close(fd);
    }
    return fd < 0 ? fd : 0;
}

static void appends(void **state)
{
    int fd;

    (void)state;
    scratch_text("log", "before\n");
    assert_int_equal(symlink("log", scratch_path("mine")), 0);
    assert_int_equal(file_append("log"), 0);
    assert_int_equal(file_append("mine"), 0);
    assert_text("log", "before\nline\nline\n");
    assert_int_equal(mkfifo(scratch_path("fifo"), 0644), 0);
    assert_int_equal(file_append("fifo"), -ENXIO);
    capture_begin();
    fd = file_open_to_append("/dev/stderr", 0644);
    assert_int_equal(write(fd, "said", 4), 4);
    assert_string_equal(capture_end(), "said");
    assert_true(fd > STDERR_FILENO);
    close(fd);
    fd = file_open_to_append("/dev/null", 0644);
    assert_true(fd >= 0);
    close(fd);
}

static void appends_behind_no_planted_link(void **state)
{
    (void)state;
    needs_root();
    scratch_text("victim", "precious");
    assert_int_equal(symlink("victim", scratch_path("planted")), 0);
    assert_int_equal(lchown(scratch_path("planted"), SOMEBODY, SOMEBODY), 0);
    assert_int_equal(file_append("planted"), -ELOOP);
    assert_text("victim", "precious");
}

static void appends_to_no_planted_file(void **state)
{
    (void)state;
    scratch_text("mine", "precious");
    assert_int_equal(link(scratch_path("mine"), scratch_path("log")), 0);
    assert_int_equal(file_append("log"), -EPERM);
    assert_text("mine", "precious");
    needs_root();
    scratch_text("theirs", "");
    assert_int_equal(chown(scratch_path("theirs"), SOMEBODY, SOMEBODY), 0);
    assert_int_equal(file_append("theirs"), -EPERM);
    assert_text("theirs", "");
}

static void makes_directories(void **state)
{
    mode_t before = umask(0);

    (void)state;
    assert_int_equal(file_make_directory(scratch_path("a/b/c"), 0700), 0);
    assert_int_equal(file_make_directory(scratch_path("a/b/c/"), 0700), 0);
    assert_int_equal(mode_of("a"), S_IFDIR | 0700);
    assert_int_equal(mode_of("a/b/c"), S_IFDIR | 0700);
    scratch_text("file", "");
    assert_int_equal(file_make_directory(scratch_path("file/d"), 0700), -ENOTDIR);
    assert_int_equal(file_make_directory("", 0700), -ENOENT);
    umask(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(replaces_a_file_whole),
        scratch_test(follows_no_link),
        scratch_test(leaves_alone_what_is_no_file),
        scratch_test(writes_to_what_takes_a_stream),
        cmocka_unit_test(standard_output_stays),
        scratch_test(a_device_stays_a_device),
        scratch_test(a_reader_that_sleeps_is_not_waited_for),
        cmocka_unit_test(a_reader_that_has_gone_is_no_signal),
        scratch_test(what_is_somebody_elses_is_replaced),
        scratch_test(a_fault_leaves_the_old_one),
        scratch_test(appends),
        scratch_test(appends_behind_no_planted_link),
        scratch_test(appends_to_no_planted_file),
        scratch_test(makes_directories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
