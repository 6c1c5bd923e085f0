/* SPDX-License-Identifier: BSD-3-Clause */
/* libpath: what a launcher tells of LD_LIBRARY_PATH's directories, and what a rank makes of it,
 * from a fake /proc/self/mountinfo. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "early/libpath.h"

static char mountinfo[8192];
static char text[LIBPATH_TEXT];
static struct libpath known;

ssize_t __real_sys_read_file(const char *path, char *buf, size_t size);
ssize_t __wrap_sys_read_file(const char *path, char *buf, size_t size);
ssize_t __wrap_sys_read_file(const char *path, char *buf, size_t size)
{
    if (strcmp(path, "/proc/self/mountinfo") != 0) {
        return __real_sys_read_file(path, buf, size);
    }
    snprintf(buf, size, "%s", mountinfo);
    return (ssize_t)strlen(buf);
}

/* The scratch directory is on this file system; all else is local. */
static void mounted_from(const char *type, const char *source)
{
    snprintf(mountinfo, sizeof mountinfo,
             "1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / %s rw - %s %s rw\n", scratch(), type,
             source);
}

static int libpath_setup(void **state)
{
    int error = scratch_setup(state) || mkdir(scratch_path("a"), 0755) ||
                mkdir(scratch_path("b"), 0755) || mkdir(scratch_path("b/glibc-hwcaps"), 0755);

    mounted_from("nfs4", "server:/sw");
    scratch_text("a/libone.so.1", "");
    scratch_text("a/notes", "");
    scratch_text("b/libtwo.so", "");
    return error;
}

static int libpath_teardown(void **state)
{
    libpath_free(&known);
    return scratch_teardown(state);
}

#define libpath_test(f) cmocka_unit_test_setup_teardown(f, libpath_setup, libpath_teardown)

/* "a:b" with each name below the scratch directory. */
static const char *search_of(const char *names)
{
    static char list[8192];
    char copy[256];
    char *save = NULL;
    size_t at = 0;

    snprintf(copy, sizeof copy, "%s", names);
    for (char *n = strtok_r(copy, ":", &save); n != NULL; n = strtok_r(NULL, ":", &save)) {
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at > 0 ? ":" : "",
                               n[0] == '/' ? n : scratch_path(n));
    }
    return list;
}

static void libpath_tell(const char *names)
{
    size_t size = libpath_describe(search_of(names), text);

    assert_true(size > 0);
    assert_int_equal(size, strlen(text));
    assert_true(libpath_load(&known, text, search_of(names)));
}

static bool libpath_lacks_it(const char *name)
{
    return libpath_lacks_library(&known, scratch_path(name));
}

static void what_is_there_is_looked_for(void **state)
{
    (void)state;
    libpath_tell("a:b");
    assert_false(libpath_lacks_it("a/libone.so.1"));
    assert_false(libpath_lacks_it("b/libtwo.so"));
    assert_false(libpath_lacks_it("b/glibc-hwcaps/x86-64-v3/libone.so.1"));
    assert_false(libpath_lacks_directory(&known, scratch_path("b/glibc-hwcaps")));
    assert_true(libpath_has_listed(&known, scratch_path("a")));
}

static void what_is_not_there_is_not(void **state)
{
    (void)state;
    libpath_tell("a:b");
    assert_true(libpath_lacks_it("a/libtwo.so"));
    assert_true(libpath_lacks_it("b/libone.so.1"));
    assert_true(libpath_lacks_it("a/glibc-hwcaps/x86-64-v3/libone.so.1"));
    assert_true(libpath_lacks_directory(&known, scratch_path("a/tls")));
}

static void what_was_not_told_is_looked_for(void **state)
{
    (void)state;
    libpath_tell("a");
    assert_false(libpath_lacks_it("a/notes"));
    assert_false(libpath_lacks_it("a/other"));
    assert_false(libpath_lacks_it("b/libone.so.1"));
    assert_false(libpath_lacks_it("a/../b/libone.so.1"));
    assert_false(libpath_lacks_library(&known, "/usr/lib/libone.so.1"));
    assert_false(libpath_has_listed(&known, scratch_path("b")));
}

static void a_missing_directory_has_nothing(void **state)
{
    (void)state;
    libpath_tell("a:gone");
    assert_true(libpath_lacks_it("gone/libone.so.1"));
    assert_true(libpath_has_listed(&known, scratch_path("gone")));
}

static void only_network_file_systems_are_told(void **state)
{
    (void)state;
    assert_int_equal(libpath_describe("/usr/lib", text), 0);
    mounted_from("xfs", "/dev/sdb");
    assert_int_equal(libpath_describe(search_of("a:b"), text), 0);
    mounted_from("fuse.squashfuse", "squashfuse");
    assert_int_equal(libpath_describe(search_of("a:b"), text), 0);
    mounted_from("fuse.sshfs", "server:/sw");
    assert_true(libpath_describe(search_of("a:b"), text) > 0);
}

static void a_symlink_to_a_local_directory_is_not_told(void **state)
{
    (void)state;
    assert_int_equal(symlink("/usr/lib", scratch_path("link")), 0);
    libpath_tell("a:link");
    assert_false(libpath_lacks_it("link/libone.so.1"));
    assert_true(libpath_lacks_it("a/libtwo.so"));
}

static void another_file_system_in_its_place_is_not_believed(void **state)
{
    (void)state;
    assert_true(libpath_describe(search_of("a:b"), text) > 0);
    mounted_from("nfs4", "other:/sw");
    assert_false(libpath_load(&known, text, search_of("a:b")));
    assert_false(libpath_lacks_it("a/libtwo.so"));
}

static void a_directory_that_the_launcher_did_not_have_is_searched(void **state)
{
    (void)state;
    assert_true(libpath_describe(search_of("a"), text) > 0);
    assert_true(libpath_load(&known, text, search_of("b:a")));
    assert_true(libpath_lacks_it("a/libtwo.so"));
    assert_false(libpath_lacks_it("b/libone.so.1"));
}

static void relative_and_odd_elements_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(libpath_describe(":.:lib:$ORIGIN/lib::", text), 0);
    assert_int_equal(libpath_describe("", text), 0);
    assert_int_equal(libpath_describe(NULL, text), 0);
}

static void a_directory_with_too_many_names_is_left_out(void **state)
{
    char name[64];

    (void)state;
    assert_int_equal(mkdir(scratch_path("many"), 0755), 0);
    for (int i = 0; i <= LIBPATH_NAMES; i++) {
        snprintf(name, sizeof name, "many/lib%d.so", i);
        scratch_text(name, "");
    }
    libpath_tell("many:a");
    assert_false(libpath_lacks_it("many/libone.so.1"));
    assert_true(libpath_lacks_it("a/libtwo.so"));
    assert_true(strlen(text) < 100);
}

static void damaged_text_is_refused(void **state)
{
    static const char *const damaged[] = {
        "", "1", "2:", "1:0123456789abcde:", "1:zz", "1:::", "1::00000.", "1::zzzzzz."};
    char cut[LIBPATH_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        assert_false(libpath_load(&known, damaged[i], search_of("a:b")));
        libpath_free(&known);
    }
    assert_true(libpath_describe(search_of("a:b"), text) > 0);
    for (size_t n = 0; n < strlen(text); n++) {
        memcpy(cut, text, n);
        cut[n] = '\0';
        assert_false(libpath_load(&known, cut, search_of("a:b")));
        libpath_free(&known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        libpath_test(what_is_there_is_looked_for),
        libpath_test(what_is_not_there_is_not),
        libpath_test(what_was_not_told_is_looked_for),
        libpath_test(a_missing_directory_has_nothing),
        libpath_test(only_network_file_systems_are_told),
        libpath_test(a_symlink_to_a_local_directory_is_not_told),
        libpath_test(another_file_system_in_its_place_is_not_believed),
        libpath_test(a_directory_that_the_launcher_did_not_have_is_searched),
        libpath_test(relative_and_odd_elements_are_left_alone),
        libpath_test(a_directory_with_too_many_names_is_left_out),
        libpath_test(damaged_text_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
