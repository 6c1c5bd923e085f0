/* SPDX-License-Identifier: BSD-3-Clause */
/* fill/lookup: a fixture looked up for the cache must be what the kernel says; faults are nobody's
 * answer. */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer/answer.h"
#include "base/fs_view.h"
#include "base/path.h"
#include "base/protected_fd.h"
#include "cache/mirror.h"
#include "faults.h"
#include "fill/lookup.h"

static struct node_cache node;
static const struct lookup_limits limits = {1000};
static char tree[128]; /* the fixture */

static const char *const names[] = {
    "",     "file", "dir",         "dir/inside", "link", "to_dir", "to_dir/inside", "broken",
    "loop", "none", "none/at/all", "file/x",     "fifo", "secret", "empty",         "dir/..x"};

static int lookup_setup(void **state)
{
    if (scratch_setup(state) != 0 || mkdir(scratch_path("cache"), 0700) != 0 ||
        node_create(&node, scratch_path("cache"), 1) != 0 ||
        mkdir(scratch_path("tree"), 0755) != 0) {
        return -1;
    }
    snprintf(tree, sizeof tree, "%s/tree", scratch());
    scratch_text("tree/file", "hello, world");
    scratch_text("tree/empty", "");
    scratch_write("tree/secret", "x", 1, 0000);
    return mkdir(scratch_path("tree/dir"), 0700) || mkfifo(scratch_path("tree/fifo"), 0600) ||
           link(scratch_path("tree/file"), scratch_path("tree/dir/inside")) ||
           symlink("file", scratch_path("tree/link")) ||
           symlink("dir", scratch_path("tree/to_dir")) ||
           symlink("nowhere", scratch_path("tree/broken")) ||
           symlink("loop", scratch_path("tree/loop"));
}

static int lookup_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static const char *in_tree(const char *name)
{
    static char path[FI_PATH_MAX];

    snprintf(path, sizeof path, "%s%s%s", tree, name[0] == '\0' ? "" : "/", name);
    return path;
}

static const struct record *lookup_look(enum record_kind kind, uint64_t argument, const char *name)
{
    const char *path = in_tree(name);
    struct fi_query q = query_make(kind, argument, path, strlen(path));
    const struct record *r = lookup_real(&node, &q, 0, &limits);

    assert_non_null(r);
    assert_ptr_equal(segment_find(&node.index, &q), r);
    assert_true(record_valid(r, SIZE_MAX));
    return r;
}

static bool is_unavailable(const struct record *r)
{
    return (r->flags & RECORD_UNAVAILABLE) != 0;
}

/* What does not change between the two looks; the access time may. */
static void assert_same_stat(const struct stat *a, const struct stat *b)
{
    struct stat copy = *b;

    copy.st_atim = a->st_atim;
    assert_memory_equal(a, &copy, sizeof *a);
}

static void stats_as_the_kernel_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct record *r = lookup_look(RECORD_STAT, 0, names[i]);
        const char *path = in_tree(names[i]);
        struct stat real = {0};
        struct stat ours = {0};
        int error = lstat(path, &real) == 0 ? 0 : errno;
        char target[64] = "";
        char copy[64] = "";
        ssize_t n;

        assert_int_equal(r->error, error);
        if (error != 0) {
            continue;
        }
        assert_int_equal(answer_stat(r, false, &ours), 0);
        assert_same_stat(&real, &ours);
        error = stat(path, &real) == 0 ? 0 : errno;
        assert_int_equal(answer_stat(r, true, &ours), -error);
        if (error == 0) {
            assert_same_stat(&real, &ours);
        }
        n = readlink(path, target, 3);
        assert_int_equal(answer_readlink(r, copy, 3), n >= 0 ? n : -errno);
        assert_string_equal(copy, target);
        n = readlink(path, target, sizeof target);
        assert_int_equal(answer_readlink(r, copy, sizeof copy), n >= 0 ? n : -errno);
        assert_string_equal(copy, target);
    }
}

static void accesses_as_the_kernel_does(void **state)
{
    static const int modes[] = {F_OK, R_OK, W_OK, X_OK, R_OK | X_OK};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            const struct record *r = lookup_look(RECORD_ACCESS, (uint64_t)modes[m], names[i]);

            assert_int_equal(r->error, access(in_tree(names[i]), modes[m]) == 0 ? 0 : errno);
            r = lookup_look(RECORD_ACCESS, (uint64_t)modes[m] | RECORD_EFFECTIVE, names[i]);
            assert_int_equal(
                r->error,
                faccessat(AT_FDCWD, in_tree(names[i]), modes[m], AT_EACCESS) == 0 ? 0 : errno);
        }
    }
}

static void resolves_as_the_kernel_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct record *r = lookup_look(RECORD_REALPATH, 0, names[i]);
        char real[PATH_MAX];
        const char *found = realpath(in_tree(names[i]), real);

        assert_int_equal(r->error, found != NULL ? 0 : errno);
        if (found != NULL) {
            assert_string_equal(record_payload(r), real);
        }
    }
}

static void statx_as_the_kernel_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct statx real;
        const struct record *r = lookup_look(
            RECORD_STATX, STATX_BASIC_STATS | ((uint64_t)AT_SYMLINK_NOFOLLOW << 32), names[i]);
        int error =
            statx(AT_FDCWD, in_tree(names[i]), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &real) == 0
                ? 0
                : errno;

        assert_int_equal(r->error, error);
        if (error == 0) {
            const struct statx *ours = record_payload(r);

            real.stx_atime = ours->stx_atime;
            assert_memory_equal(ours, &real, sizeof real);
        }
    }
}

static void lists_as_the_kernel_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct record *r;
        DIR *dir;
        int error;
        uint32_t n = 0;

        if (strcmp(names[i], "fifo") == 0) {
            continue; /* O_DIRECTORY refuses it, but not before every kernel has opened it */
        }
        r = lookup_look(RECORD_LIST, 0, names[i]);
        dir = opendir(in_tree(names[i]));
        error = dir != NULL ? 0 : errno;
        assert_int_equal(r->error, error);
        if (dir == NULL) {
            continue;
        }
        for (const struct dirent *e; (e = readdir(dir)) != NULL; n++) {
            const struct record_list_entry *ours = record_list_find(r, e->d_name);

            assert_non_null(ours);
            assert_int_equal(ours->inode, e->d_ino);
            assert_int_equal(ours->type, e->d_type);
        }
        closedir(dir);
        assert_int_equal(((const struct record_list *)record_payload(r))->n_entries, n);
        assert_null(record_list_find(r, "no such name"));
    }
}

static void lists_huge_directories(void **state)
{
    const struct record *r;
    char name[300];

    (void)state;
    assert_int_equal(mkdir(scratch_path("tree/huge"), 0755), 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "tree/huge/%0*d", 20 + i % 200, i);
        scratch_text(name, "");
    }
    r = lookup_look(RECORD_LIST, 0, "huge");
    assert_int_equal(((const struct record_list *)record_payload(r))->n_entries, 3002);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "%0*d", 20 + i % 200, i);
        assert_non_null(record_list_find(r, name));
    }
}

static void assert_copy(const struct record *r, const char *name)
{
    char copy_name[FI_PATH_MAX + 512];
    size_t n;
    size_t m;
    char *bytes = scratch_read(in_tree(name), &n);
    char *copy;

    assert_true(answer_mirror(&node, r, copy_name, sizeof copy_name));
    copy = scratch_read(copy_name, &m);
    assert_int_equal(n, m);
    assert_memory_equal(bytes, copy, n);
    free(bytes);
    free(copy);
}

static void copies_files_once(void **state)
{
    const struct record *r = lookup_look(RECORD_CONTENT, 0, "file");
    const struct record_content *c = record_payload(r);
    struct stat real;

    (void)state;
    assert_int_equal(r->error, 0);
    assert_int_equal(stat(in_tree("file"), &real), 0);
    assert_same_stat(&c->st, &real);
    assert_copy(r, "file");
    assert_false(c->same_as);
    r = lookup_look(RECORD_CONTENT, 0, "dir/inside"); /* a hard link: no second copy */
    c = record_payload(r);
    assert_true(c->same_as);
    assert_string_equal(c->first, in_tree("file"));
    assert_copy(r, "dir/inside");
    assert_int_equal(node.index.header->content_bytes, 12);
    r = lookup_look(RECORD_CONTENT, 0, "empty");
    assert_int_equal(((const struct record_content *)record_payload(r))->size, 0);
    assert_copy(r, "empty");
    r = lookup_look(RECORD_CONTENT, 0, "link");
    assert_copy(r, "link");
}

static void leaves_out_what_is_no_file(void **state)
{
    char big[1001] = {0};

    (void)state;
    assert_int_equal(lookup_look(RECORD_CONTENT, 0, "none")->error, ENOENT);
    assert_int_equal(lookup_look(RECORD_CONTENT, 0, "loop")->error, ELOOP);
    assert_int_equal(lookup_look(RECORD_CONTENT, 0, "file/x")->error, ENOTDIR);
    assert_true(is_unavailable(lookup_look(RECORD_CONTENT, 0, "dir")));
    assert_true(
        is_unavailable(lookup_look(RECORD_CONTENT, 0, "fifo"))); /* and nobody waits for a writer */
    scratch_write("tree/big", big, 1001, 0644);
    assert_true(is_unavailable(lookup_look(RECORD_CONTENT, 0, "big")));
    assert_int_equal(lookup_look(RECORD_CONTENT, 0, "big")->error, EFBIG);
    scratch_write("tree/fits", big, 1000, 0644);
    assert_false(is_unavailable(lookup_look(RECORD_CONTENT, 0, "fits")));
    assert_true(
        is_unavailable(lookup_look(RECORD_STALE, 0, "file"))); /* nobody may ask for such a thing */
}

/* A program without section that is longer than what ld.so maps of it, first as a library, then as
 * a file. Its copy keeps its inode, by which ld.so knows what is loaded. */
static void a_library_read_as_a_file_is_whole(void **state)
{
    size_t size;
    char *bytes = scratch_read("/proc/self/exe", &size);
    char copy[FI_PATH_MAX + 512];
    struct stat real;
    struct stat copies[2];
    const struct lookup_limits all = {1 << 30};
    const uint64_t orders[][2] = {{0, RECORD_MAPPED}, {RECORD_MAPPED, 0}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        char name[16];

        snprintf(name, sizeof name, "tree/lib%d", i);
        scratch_write(name, bytes, size, i == 0 ? 0755 : 0444);
        assert_true(mirror_path(&node, in_tree(name + 5), copy, sizeof copy));
        for (int j = 0; j < 2; j++) {
            const char *path = in_tree(name + 5);
            struct fi_query q = query_make(RECORD_CONTENT, orders[i][j], path, strlen(path));

            assert_false(is_unavailable(lookup_real(&node, &q, 0, &all)));
            assert_int_equal(stat(copy, &copies[j]), 0);
        }
        assert_int_equal(stat(in_tree(name + 5), &real), 0);
        assert_int_equal(copies[0].st_ino, copies[1].st_ino);
        assert_int_equal(copies[1].st_mode, real.st_mode);
        assert_int_equal(copies[1].st_mtim.tv_nsec, real.st_mtim.tv_nsec);
        assert_copy(lookup_look(RECORD_CONTENT, 0, name + 5), name + 5); /* what open() serves */
    }
    free(bytes);
}

static void transient_errors_are_no_answers(void **state)
{
    static const struct {
        enum fault_call call;
        int error;
        enum record_kind kind;
        const char *name;
    } faults[] = {
        {FAULT_sys_open, -EMFILE, RECORD_CONTENT, "file"},
        {FAULT_sys_open, -ENFILE, RECORD_LIST, "dir"},
        {FAULT_sys_open, -EMFILE, RECORD_LIST, "dir"},
        {FAULT_sys_open, -EMFILE, RECORD_REALPATH, "file"},
        {FAULT_sys_open, -ENOMEM, RECORD_REALPATH, "file"},
        {FAULT_sys_open, -EIO, RECORD_CONTENT, "file"},
        {FAULT_sys_open, -ESTALE, RECORD_CONTENT, "file"},
        {FAULT_sys_lstat, -ENOMEM, RECORD_STAT, "file"},
        {FAULT_sys_lstat, -EIO, RECORD_STAT, "file"},
        {FAULT_sys_lstat, -ESTALE, RECORD_STAT, "file"},
        {FAULT_sys_stat, -EIO, RECORD_STAT, "link"},
        {FAULT_sys_readlink, -EIO, RECORD_STAT, "link"},
        {FAULT_sys_access, -EIO, RECORD_ACCESS, "file"},
        {FAULT_sys_getdents64, -EIO, RECORD_LIST, "dir"},
        {FAULT_sys_readlink, -ENOENT, RECORD_REALPATH, "file"},
        {FAULT_realloc, 1, RECORD_LIST, "dir"},
        {FAULT_sys_fstat, -EIO, RECORD_CONTENT, "file"},
        {FAULT_sys_pread_all, -EIO, RECORD_CONTENT, "file"},
        {FAULT_malloc, 1, RECORD_CONTENT, "file"},
        {FAULT_sys_pwrite_all, -ENOSPC, RECORD_CONTENT, "file"},
        {FAULT_sys_rename, -EIO, RECORD_CONTENT, "empty"},
        {FAULT_sys_open, -EINTR, RECORD_LIST, "dir"},
        {FAULT_sys_open, -ETIMEDOUT, RECORD_LIST, "dir"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const struct record *r;

        fault_clear();
        fault_arm(faults[i].call, faults[i].error, 0, 1);
        capture_begin();
        r = lookup_look(faults[i].kind, 0, faults[i].name);
        capture_end();
        if (!is_unavailable(r)) {
            fail_msg("fault %zu (%d): published as an answer", i, faults[i].error);
        }
        fault_clear();
        r = lookup_look(faults[i].kind, 0, faults[i].name);
        assert_int_equal(r->error, 0);
        assert_false(is_unavailable(r));
    }
}

static void cut_it(void)
{
    assert_int_equal(truncate(scratch_path("tree/file"), 3), 0);
}

static void a_file_cut_while_read_is_not_kept(void **state)
{
    char name[FI_PATH_MAX + 512];

    (void)state;
    fault_meanwhile(FAULT_sys_pread_all, 0, cut_it);
    assert_true(is_unavailable(lookup_look(RECORD_CONTENT, 0, "file")));
    assert_true(mirror_path(&node, in_tree("file"), name, sizeof name));
    assert_int_equal(access(name, F_OK), -1);
}

/* The job sees one snapshot: what was given back comes again as it was, or not at all. */
static void what_has_changed_since_it_was_given_back(void **state)
{
    const struct record *r = lookup_look(RECORD_CONTENT, 0, "file");
    struct fi_query q = query_make(RECORD_CONTENT, 0, r->path, r->path_length);

    (void)state;
    segment_add(&node.index, &q, RECORD_GIVEN_BACK | RECORD_UNAVAILABLE, NULL, 0);
    assert_false(is_unavailable(lookup_look(RECORD_CONTENT, 0, "file")));
    segment_add(&node.index, &q, RECORD_GIVEN_BACK | RECORD_UNAVAILABLE, NULL, 0);
    scratch_text("tree/file", "hello, there");
    assert_true(is_unavailable(lookup_look(RECORD_CONTENT, 0, "file")));
}

static void a_full_index_is_no_crash(void **state)
{
    const char *path = in_tree("dir");

    (void)state;
    node.index.header->full = 1;
    for (int kind = 1; kind < RECORD_KINDS; kind++) {
        struct fi_query q = query_make((enum record_kind)kind, 0, path, strlen(path));

        assert_null(lookup_real(&node, &q, 0, &limits));
    }
}

/* They may be those of another file; also a name that is not there is. */
static void what_is_found_in_a_changing_view_is_no_answer(void **state)
{
    (void)state;
    fs_view_begin_change();
    assert_true(is_unavailable(lookup_look(RECORD_STAT, 0, "file")));
    assert_true(is_unavailable(lookup_look(RECORD_STAT, 0, "none")));
    assert_true(is_unavailable(lookup_look(RECORD_LIST, 0, "dir")));
    assert_true(is_unavailable(lookup_look(RECORD_CONTENT, 0, "file")));
    fs_view_end_change(false);
    assert_false(is_unavailable(lookup_look(RECORD_CONTENT, 0, "dir/inside")));
    assert_false(is_unavailable(lookup_look(RECORD_STAT, 0, "dir")));
    assert_false(fs_view_has_changed());
}

#define lookup_test(f) cmocka_unit_test_setup_teardown(f, lookup_setup, lookup_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        lookup_test(stats_as_the_kernel_does),
        lookup_test(accesses_as_the_kernel_does),
        lookup_test(resolves_as_the_kernel_does),
        lookup_test(statx_as_the_kernel_does),
        lookup_test(lists_as_the_kernel_does),
        lookup_test(lists_huge_directories),
        lookup_test(copies_files_once),
        lookup_test(leaves_out_what_is_no_file),
        lookup_test(a_library_read_as_a_file_is_whole),
        lookup_test(transient_errors_are_no_answers),
        lookup_test(a_file_cut_while_read_is_not_kept),
        lookup_test(what_has_changed_since_it_was_given_back),
        lookup_test(a_full_index_is_no_crash),
        lookup_test(what_is_found_in_a_changing_view_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
