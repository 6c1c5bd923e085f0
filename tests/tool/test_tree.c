/* SPDX-License-Identifier: BSD-3-Clause */
/* tree/tree.h and tree/writer.h: never outside, whatever links are there. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tree/tree.h"
#include "tree/writer.h"

static char where[] = "/tmp/pmb-test-tree.XXXXXX";
static int top;

static int tree_setup(void **state)
{
    (void)state;
    strcpy(where, "/tmp/pmb-test-tree.XXXXXX");
    if (mkdtemp(where) == NULL) {
        return -1;
    }
    top = open(where, O_RDONLY | O_DIRECTORY);
    return top < 0;
}

static int tree_teardown(void **state)
{
    struct error err = {0};
    (void)state;
    close(top);
    return tree_remove(AT_FDCWD, where, &err);
}

static void tree_parents(void **state)
{
    struct error err = {0};
    const char *name;
    struct tree *t = tree_new(top);
    (void)state;
    assert_non_null(tree_parent(t, "a/b/c/file", &name, true, &err));
    assert_string_equal(name, "file");
    assert_int_equal(faccessat(top, "a/b/c", F_OK, 0), 0);
    assert_int_equal(tree_mkdir(t, "a/bb", &err),
                     0); /* shares a prefix of bytes, not of components */
    assert_int_equal(tree_mkdir(t, "a/b/d", &err), 0);
    assert_int_equal(faccessat(top, "a/bb", F_OK, 0), 0);
    assert_int_equal(faccessat(top, "a/b/d", F_OK, 0), 0);
    assert_null(tree_parent(t, "missing/x", &name, false, &err));
    tree_free(t);
}

static void links_are_not_followed(void **state)
{
    struct error err = {0};
    const char *name;
    struct tree *t = tree_new(top);
    (void)state;
    assert_int_equal(symlinkat("/tmp", top, "out"), 0);
    assert_null(tree_parent(t, "out/x", &name, true, &err));
    assert_non_null(strstr(err.reason, "link"));
    err = (struct error){0};
    assert_int_equal(tree_mkdir(t, "out", &err), -1);
    tree_free(t);
}

static void removal_spares_what_links_point_to(void **state)
{
    struct error err = {0};
    (void)state;
    assert_int_equal(mkdirat(top, "keep", 0755), 0);
    assert_int_equal(mkdirat(top, "gone", 0755), 0);
    assert_int_equal(symlinkat("../keep", top, "gone/link"), 0);
    assert_int_equal(mkdirat(top, "gone/locked", 0755), 0);
    close(openat(top, "gone/locked/file", O_CREAT | O_WRONLY, 0444));
    assert_int_equal(fchmodat(top, "gone/locked", 0, 0), 0);
    assert_int_equal(tree_remove(top, "gone", &err), 0);
    assert_int_equal(faccessat(top, "gone", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(faccessat(top, "keep", F_OK, 0), 0);
    assert_int_equal(tree_remove(top, "never-there", &err), 0);
}

static void make_files(int threads)
{
    struct error err = {0};
    struct timespec time = {1600000000, 7};
    struct stat st;
    const char *name;
    char path[32];
    static char data[2 << 20];
    struct tree *t = tree_new(top);
    struct writer *w = writer_new(threads);
    mode_t mask = umask(0);
    memset(data, 'x', sizeof data);
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "t%d/f%d", threads, i);
        struct tree_dir *d = tree_parent(t, path, &name, true, &err);
        writer_begin(w, d, name, path, 0640, &time);
        for (int k = 0; k < 3; k++) {
            writer_data(w, data, (size_t)(i % 20 == 19 ? 1 << 20 : i));
        }
        if (i == 5) {
            writer_hole(w, 100000);
        }
        writer_end(w);
    }
    assert_int_equal(writer_flush(w, &err), 0);
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "t%d/f%d", threads, i);
        assert_int_equal(fstatat(top, path, &st, 0), 0);
        assert_int_equal(st.st_size, 3 * (i % 20 == 19 ? 1 << 20 : i) + (i == 5 ? 100000 : 0));
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_true(st.st_mtim.tv_sec == time.tv_sec && st.st_mtim.tv_nsec == time.tv_nsec);
    }
    snprintf(path, sizeof path, "t%d/f1", threads);
    writer_begin(w, tree_parent(t, path, &name, true, &err), name, path, 0640, &time);
    writer_end(w);
    assert_int_equal(writer_flush(w, &err), -1);
    assert_non_null(strstr(err.reason, "twice"));
    umask(mask);
    writer_free(w);
    tree_free(t);
}

static void tree_files(void **state)
{
    (void)state;
    for (int threads = 0; threads < 4; threads++) {
        make_files(threads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_parents), cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(removal_spares_what_links_point_to), cmocka_unit_test(tree_files)};
    return cmocka_run_group_tests(tests, tree_setup, tree_teardown);
}
