/* SPDX-License-Identifier: BSD-3-Clause */
/* base/dirtree: directories of any mode are removed, and nothing on another file system. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirtree.h"

static void dirtree_make(void)
{
    assert_int_equal(mkdir(scratch_path("tree"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("tree/sub"), 0700), 0);
    scratch_text("tree/sub/file", "x");
}

static int as_nobody_remove(void *unused)
{
    (void)unused;
    if (geteuid() == 0 &&
        (chown(scratch(), 65534, 65534) != 0 || setgid(65534) != 0 || setuid(65534) != 0)) {
        return 1;
    }
    dirtree_make();
    if (chmod(scratch_path("tree/sub"), 0) != 0 || chmod(scratch_path("tree"), 0500) != 0) {
        return 2;
    }
    return dirtree_remove(AT_FDCWD, scratch_path("tree")) == 0 && !scratch_has("tree") ? 0 : 3;
}

/* Root may do everything: the test is another user. */
static void removes_directories_that_shut_their_owner_out(void **state)
{
    (void)state;
    assert_int_equal(in_child(as_nobody_remove, NULL), 0);
}

static int mount_stays(void *unused)
{
    char failed[DIRTREE_NAME] = "";

    (void)unused;
    dirtree_make();
    scratch_text("tree/other", "x");
    if (mkdir(scratch_path("tree/mounted"), 0700) != 0 ||
        mount("none", scratch_path("tree/mounted"), "tmpfs", 0, NULL) != 0) {
        return 77;
    }
    scratch_text("tree/mounted/file", "precious");
    if (dirtree_remove_telling(AT_FDCWD, scratch_path("tree"), failed) != -EXDEV) {
        return 1;
    }
    return strcmp(failed, "mounted") == 0 && scratch_has("tree/mounted/file") &&
                   !scratch_has("tree/other") && !scratch_has("tree/sub")
               ? 0
               : 2;
}

static void stays_on_its_file_system(void **state)
{
    (void)state;
    assert_int_equal(on_small_tmpfs((struct small_tmpfs){1 << 20, false, mount_stays, NULL}), 0);
}

static void says_that_nothing_was_there(void **state)
{
    char failed[DIRTREE_NAME] = "";

    (void)state;
    assert_int_equal(dirtree_remove_telling(AT_FDCWD, scratch_path("none"), failed), -ENOENT);
    assert_non_null(strstr(failed, "none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(removes_directories_that_shut_their_owner_out),
        scratch_test(stays_on_its_file_system),
        scratch_test(says_that_nothing_was_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
