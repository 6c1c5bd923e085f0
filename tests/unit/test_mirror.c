/* SPDX-License-Identifier: BSD-3-Clause */
/* cache/mirror: copies with the original's modes and times, the record of an inode, no room,
 * faults. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "answer/answer.h"
#include "base/path.h"
#include "base/protected_fd.h"
#include "cache/mirror.h"
#include "faults.h"

static struct node_cache node;

static int mirror_setup(void **state)
{
    return scratch_setup(state) || node_create(&node, scratch(), 1);
}

static int mirror_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static struct stat original_of(mode_t mode, off_t size)
{
    struct stat st = {
        .st_dev = 7, .st_ino = 99, .st_nlink = 3, .st_uid = 1000, .st_size = size, .st_blocks = 5};

    st.st_mode = S_IFREG | mode;
    st.st_mtim = (struct timespec){1500000000, 123456789};
    st.st_atim = (struct timespec){1600000000, 987654321};
    st.st_ctim = (struct timespec){1700000000, 1};
    return st;
}

static int mirror_keep(const char *path, const char *bytes, const struct stat *st)
{
    struct mirror_writer w;
    int error = mirror_begin(&w, &node, strlen(bytes));

    if (error != 0) {
        return error;
    }
    error = mirror_append(&w, bytes, strlen(bytes));
    if (error != 0) {
        mirror_abandon(&w);
        return error;
    }
    return mirror_finish(&w, &node, path, st);
}

static char *mirror_name_of(const char *path)
{
    static char name[FI_PATH_MAX + 512];

    assert_true(mirror_path(&node, path, name, sizeof name));
    return name;
}

static int files_in_tmp(void)
{
    char name[300];

    snprintf(name, sizeof name, "%s/tmp", node.directory + strlen(scratch()) + 1);
    return scratch_count(name);
}

static void keeps_bytes_mode_and_times(void **state)
{
    static const mode_t modes[] = {0644, 0755, 0444, 0600, 0, 04755, 0200};

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct stat st = original_of(modes[i], 5);
        struct stat copy;
        char path[64];
        char *bytes;
        size_t size;

        snprintf(path, sizeof path, "/sw/env/%zu/deep/down/file", i);
        assert_int_equal(mirror_keep(path, "hello", &st), 0);
        assert_int_equal(stat(mirror_name_of(path), &copy), 0);
        assert_int_equal(copy.st_mode,
                         S_IFREG | (modes[i] & 0777) | 0400); /* readable to us, never setuid */
        assert_memory_equal(&copy.st_mtim, &st.st_mtim, sizeof st.st_mtim);
        bytes = scratch_read(mirror_name_of(path), &size);
        assert_string_equal(bytes, "hello");
        free(bytes);
    }
    assert_int_equal(files_in_tmp(), 0);
    assert_int_equal(node.index.header->content_bytes, 5 * sizeof modes / sizeof *modes);
}

static void what_is_missing_is_a_hole(void **state)
{
    struct stat st = original_of(0644, 1 << 20);
    struct stat copy;

    (void)state;
    assert_int_equal(mirror_keep("/lib.so", "head", &st), 0);
    assert_int_equal(stat(mirror_name_of("/lib.so"), &copy), 0);
    assert_int_equal(copy.st_size, 1 << 20);
    assert_true(copy.st_blocks < 64);
}

static void a_hole_replaces_nothing(void **state)
{
    struct stat whole = original_of(0644, 5);
    struct stat holed = original_of(0644, 5);
    size_t size;
    char *bytes;

    (void)state;
    assert_int_equal(mirror_keep("/a.so", "hello", &whole), 0);
    assert_int_equal(mirror_keep("/a.so", "hel", &holed), 0);
    assert_int_equal(mirror_keep("/b.so", "hel", &holed), 0);
    assert_int_equal(mirror_keep("/b.so", "hello", &whole), 0);
    for (const char *name = "a"; *name != '\0'; name = *name == 'a' ? "b" : "") {
        char path[8];

        snprintf(path, sizeof path, "/%s.so", name);
        bytes = scratch_read(mirror_name_of(path), &size);
        assert_string_equal(bytes, "hello");
        free(bytes);
    }
    assert_int_equal(files_in_tmp(), 0);
}

/* As the wrapper of fstat() does. */
static void mirror_correct(struct stat *st)
{
    const struct stat *original = mirror_original(&node, st);

    if (original != NULL) {
        *st = *original;
    }
}

static void fstat_shows_the_original(void **state)
{
    struct stat st = original_of(0755, 5);
    struct stat seen;
    struct statx stx;
    int fd;

    (void)state;
    assert_int_equal(mirror_keep("/sw/x", "hello", &st), 0);
    fd = dup(open(mirror_name_of("/sw/x"), O_RDONLY));
    assert_int_equal(fstat(fd, &seen), 0);
    mirror_correct(&seen);
    assert_memory_equal(&seen, &st, sizeof st);
    mirror_correct(&seen); /* that one is not a mirror file: left alone */
    assert_memory_equal(&seen, &st, sizeof st);
    assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &stx), 0);
    answer_fstatx(&node, &stx);
    assert_int_equal(stx.stx_ino, 99);
    assert_int_equal(stx.stx_nlink, 3);
    assert_int_equal(stx.stx_mtime.tv_nsec, 123456789);
    assert_int_equal(stx.stx_dev_minor, 7);
    assert_int_equal(stx.stx_mask & ~STATX_BASIC_STATS, 0);
    scratch_text("other", "x");
    assert_int_equal(stat(scratch_path("other"), &seen), 0);
    st = seen;
    mirror_correct(&seen);
    assert_memory_equal(&seen, &st, sizeof st);
    close(fd);
}

static void hard_links_are_one_file(void **state)
{
    struct stat st = original_of(0644, 5);
    struct stat a;
    struct stat b;

    (void)state;
    assert_int_equal(mirror_keep("/sw/x", "hello", &st), 0);
    assert_int_equal(mirror_link(&node, "/sw/x", "/other/place/y", 0), 0);
    assert_int_equal(mirror_link(&node, "/sw/x", "/other/place/y", 0), 0); /* again */
    assert_int_equal(stat(mirror_name_of("/sw/x"), &a), 0);
    assert_int_equal(stat(mirror_name_of("/other/place/y"), &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(mirror_link(&node, "/sw/none", "/other/z", 0), -ENOENT);
}

static void names_may_be_too_long(void **state)
{
    static char path[FI_PATH_MAX];
    char small[64];
    struct mirror_writer w;
    struct stat st = original_of(0644, 0);

    (void)state;
    assert_false(mirror_path(&node, "/x", small, node.directory_length + 8));
    assert_true(mirror_path(&node, "/x", small, node.directory_length + 9));
    for (size_t i = 0; i < sizeof path - 1; i++) { /* the kernel refuses it behind our prefix */
        path[i] = i % 200 == 0 ? '/' : 'x';
    }
    assert_int_equal(mirror_begin(&w, &node, 0), 0);
    assert_int_equal(mirror_finish(&w, &node, path, &st), -ENAMETOOLONG);
    assert_int_equal(files_in_tmp(), 0);
}

/* "/a/../b" would be the copy of another file than open("/a/../b"), and too many ".." leave the
 * cache. */
static void writes_under_normal_names_only(void **state)
{
    static const char *const outside[] = {"/../x", "/..", "/sw/../../x", "/sw/env/../../..", "x"};
    static const char *const names[] = {"/../x",
                                        "/sw/env/../x",
                                        "/sw/env/..",
                                        "/sw/./x",
                                        "/sw//x",
                                        "/sw/x/",
                                        "sw/x",
                                        "",
                                        "/../../../../../../../../../tmp/x"};
    struct stat st = original_of(0644, 5);
    char out[FI_PATH_MAX + 512];
    char top[300];

    (void)state;
    snprintf(top, sizeof top, "%s/files", node.directory + strlen(scratch()) + 1);
    assert_int_equal(mirror_keep("/sw/env/first", "hello", &st), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(mirror_keep(names[i], "hello", &st) < 0);
        assert_true(mirror_link(&node, "/sw/env/first", names[i], 0) < 0);
        assert_true(mirror_link(&node, names[i], "/sw/env/second", 0) < 0);
    }
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) { /* for reading, neither */
        assert_false(mirror_path(&node, outside[i], out, sizeof out));
    }
    assert_true(mirror_path(&node, "/sw/env/../..a/..", out, sizeof out));
    assert_int_equal(scratch_count(top), 1);
    assert_int_equal(access(mirror_name_of("/sw/env/second"), F_OK), -1);
    assert_int_equal(access(mirror_name_of("/sw/x"), F_OK), -1);
    assert_int_equal(files_in_tmp(), 0);
}

static void faults_leave_nothing_behind(void **state)
{
    struct stat st;
    static const struct {
        enum fault_call call;
        int error, skip;
        off_t size; /* 5 is all of it; 50: the rest is a hole */
    } faults[] = {{FAULT_sys_open, -EMFILE, 0, 5},       {FAULT_sys_fstatfs, -EIO, 0, 5},
                  {FAULT_sys_pwrite_all, -ENOSPC, 0, 5}, {FAULT_sys_fchmod, -EPERM, 0, 5},
                  {FAULT_sys_futimens, -EIO, 0, 5},      {FAULT_sys_fstat, -EIO, 0, 5},
                  {FAULT_sys_rename, -EIO, 0, 5},        {FAULT_sys_mkdir, -ENOSPC, 0, 5},
                  {FAULT_sys_rename, -EDQUOT, 1, 5},     {FAULT_sys_link, -EMLINK, 0, 50},
                  {FAULT_sys_ftruncate, -EFBIG, 0, 50}};

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        st = original_of(0644, faults[i].size);
        fault_clear();
        fault_arm(faults[i].call, faults[i].error, faults[i].skip, 1);
        assert_int_equal(mirror_keep("/sw/env/x", "hello", &st), faults[i].error);
        assert_int_equal(files_in_tmp(), 0);
        assert_int_equal(access(mirror_name_of("/sw/env/x"), F_OK), -1);
        assert_int_equal(node.index.header->content_bytes, 0);
    }
    fault_clear();
    st = original_of(0644, 5);
    node.index.header->full = 1; /* no record of its inode: no file */
    assert_int_equal(mirror_keep("/sw/env/x", "hello", &st), -ENOSPC);
    assert_int_equal(access(mirror_name_of("/sw/env/x"), F_OK), -1);
}

static int fill_it_up(void *unused)
{
    struct stat st = original_of(0644, 0);
    static char bytes[256 << 10];
    struct statfs sf;
    char path[32];
    int error = 0;
    int n;

    (void)unused;
    memset(bytes, 'x', sizeof bytes - 1);
    if (node_create(&node, scratch(), 1) != 0) {
        return 1;
    }
    for (n = 0; n < 100 && error == 0; n++) {
        snprintf(path, sizeof path, "/f%d", n);
        error = mirror_keep(path, bytes, &st);
    }
    /* some fit, and at the end a tenth of the file system is still free for others */
    if (error != -ENOSPC || n < 4 || statfs(scratch(), &sf) != 0) {
        return 2;
    }
    return sf.f_bavail >= sf.f_blocks / 10 && sf.f_bavail < sf.f_blocks / 10 + 64 ? 0 : 3;
}

static void leaves_room_for_others(void **state)
{
    (void)state;
    assert_int_equal(on_small_tmpfs((struct small_tmpfs){8 << 20, false, fill_it_up, NULL}), 0);
}

#define node_test(f) cmocka_unit_test_setup_teardown(f, mirror_setup, mirror_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        node_test(keeps_bytes_mode_and_times),  node_test(what_is_missing_is_a_hole),
        node_test(a_hole_replaces_nothing),     node_test(fstat_shows_the_original),
        node_test(hard_links_are_one_file),     node_test(names_may_be_too_long),
        node_test(faults_leave_nothing_behind), node_test(writes_under_normal_names_only),
        scratch_test(leaves_room_for_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
