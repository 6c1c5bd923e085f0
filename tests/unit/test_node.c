/* SPDX-License-Identifier: BSD-3-Clause */
/* cache/node, cache/mirror, cache/tree: private directories, locks, the sweep, files with modes and
 * times, no room. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/dirtree.h"
#include "base/protected_fd.h"
#include "cache/mirror.h"
#include "faults.h"

static struct node_cache node;

static int node_setup(void **state)
{
    return scratch_setup(state) || node_create(&node, scratch(), 3);
}

/* The node may be left already; what was mapped goes with the process otherwise. */
static int node_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static uint64_t nonce(void)
{
    return node.index.header->nonce;
}

static void is_private_and_unguessable(void **state)
{
    struct node_cache second;
    char prefix[64];
    struct stat st;

    (void)state;
    snprintf(prefix, sizeof prefix, "%s/fastimport-%u-", scratch(), (unsigned)getuid());
    assert_int_equal(strncmp(node.directory, prefix, strlen(prefix)), 0);
    assert_int_equal(strlen(node.directory), strlen(prefix) + 16);
    assert_int_equal(stat(node.directory, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(st.st_dev == node.index.header->mirror_device);
    assert_int_equal(node.index.header->n_ranks, 3);
    assert_int_equal(node_create(&second, scratch(), 1), 0);
    assert_string_not_equal(second.directory, node.directory);
    segment_detach(&second.index);
    protected_fd_close(second.lock);
}

static int try_attach(const char *directory, uint64_t with)
{
    struct node_cache other;
    int error = node_attach(&other, directory, with);

    if (error == 0) {
        segment_detach(&other.index);
        protected_fd_close(other.lock);
    }
    return error;
}

static void attaches_to_its_own_only(void **state)
{
    char directory[300];

    (void)state;
    assert_int_equal(try_attach(node.directory, nonce()), 0);
    assert_int_equal(try_attach(node.directory, nonce() + 1), -EPROTO);
    assert_int_equal(try_attach(scratch_path("none"), nonce()), -ENOENT);
    assert_int_equal(symlink(node.directory, scratch_path("link")), 0);
    assert_int_equal(try_attach(scratch_path("link"), nonce()),
                     -ENOTDIR); /* O_DIRECTORY | O_NOFOLLOW */
    assert_int_equal(chmod(node.directory, 0750), 0);
    assert_int_equal(try_attach(node.directory, nonce()), -EPERM);
    assert_int_equal(chmod(node.directory, 0700), 0);
    snprintf(directory, sizeof directory, "%s/index", node.directory);
    assert_int_equal(try_attach(directory, nonce()), -ENOTDIR);
    memset(directory, '/', 280);
    strcpy(directory + 280 - strlen(node.directory),
           node.directory); /* sound, but too long to be kept */
    assert_int_equal(try_attach(directory, nonce()), -EPERM);
    if (geteuid() == 0) {
        assert_int_equal(chown(node.directory, 12345, 12345), 0);
        assert_int_equal(try_attach(node.directory, nonce()), -EPERM);
        assert_int_equal(chown(node.directory, 0, 0), 0);
    }
    assert_int_equal(try_attach(node.directory, nonce()), 0);
}

/* The directory itself is private, but its name is not. */
static void node_name_below(const char *above, char directory[300])
{
    snprintf(directory, 300, "%s%s", above, strrchr(node.directory, '/'));
}

static void attaches_where_nobody_can_replace_it_only(void **state)
{
    static const mode_t modes[] = {0777, 0770, 0702, 01777, 0755};
    struct node_cache second;
    char directory[300];

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int expected = i < 3 ? -EPERM : 0;

        assert_int_equal(chmod(scratch(), modes[i]), 0);
        assert_int_equal(try_attach(node.directory, nonce()), expected);
        assert_int_equal(node_create(&second, scratch(), 1), expected);
        if (expected == 0) {
            segment_detach(&second.index);
            protected_fd_close(second.lock);
        }
    }
    assert_int_equal(symlink(".", scratch_path("link")), 0);
    node_name_below(scratch_path("link"), directory);
    assert_int_equal(try_attach(directory, nonce()), -EPERM);
    assert_int_equal(node_create(&second, scratch_path("link"), 1), 0);
    assert_null(strstr(second.directory, "/link"));
    segment_detach(&second.index);
    protected_fd_close(second.lock);
    if (geteuid() == 0) {
        assert_int_equal(chown(scratch(), 12345, 12345), 0);
        assert_int_equal(try_attach(node.directory, nonce()), -EPERM);
        assert_int_equal(node_create(&second, scratch(), 1), -EPERM);
        assert_int_equal(node_sweep(scratch()), 0);
        assert_int_equal(chown(scratch(), 0, 0), 0);
    }
}

static void node_attaching_survives_faults(void **state)
{
    (void)state;
    fault_arm(FAULT_sys_open, -EMFILE, 0, 1);
    assert_int_equal(try_attach(node.directory, nonce()), -EMFILE);
    fault_arm(FAULT_sys_open, -EMFILE, 1, 1); /* the lock */
    assert_int_equal(try_attach(node.directory, nonce()), -EMFILE);
    fault_arm(FAULT_sys_open, -EMFILE, 2, 1); /* the index */
    assert_int_equal(try_attach(node.directory, nonce()), -EMFILE);
    fault_arm(FAULT_sys_flock, -EWOULDBLOCK, 0, 1);
    assert_int_equal(try_attach(node.directory, nonce()), -EWOULDBLOCK);
    fault_arm(FAULT_sys_fstat, -EIO, 0, 1);
    assert_int_equal(try_attach(node.directory, nonce()), -EPERM);
}

static void node_creation_fails_and_leaves_nothing(void **state)
{
    static const struct {
        enum fault_call call;
        int error, skip;
    } faults[] = {{FAULT_sys_mkdir, -EACCES, 0},     {FAULT_sys_mkdir, -ENOSPC, 1},
                  {FAULT_sys_mkdir, -ENOSPC, 2},     {FAULT_sys_open, -EMFILE, 0},
                  {FAULT_sys_open, -EMFILE, 1},      {FAULT_sys_flock, -ENOLCK, 0},
                  {FAULT_sys_fallocate, -ENOSPC, 0}, {FAULT_sys_mmap, -ENOMEM, 0},
                  {FAULT_sys_ftruncate, -EFBIG, 0}};
    struct node_cache second;
    char base[300];

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        fault_clear();
        fault_arm(faults[i].call, faults[i].error, faults[i].skip, 1);
        assert_int_equal(node_create(&second, scratch(), 1), faults[i].error);
        assert_int_equal(scratch_count("."), 1); /* the one of setup() */
    }
    assert_int_equal(node_create(&second, scratch_path("none"), 1), -ENOENT);
    memset(base, 'x', sizeof base - 1);
    base[sizeof base - 1] = '\0';
    assert_int_equal(node_create(&second, base, 1), -ENAMETOOLONG);
}

static void the_last_one_out_removes_it(void **state)
{
    struct node_cache second;

    (void)state;
    assert_int_equal(node_attach(&second, node.directory, nonce()), 0);
    node_leave(&node);
    assert_int_equal(scratch_count("."), 1);
    assert_true(second.index.header->nonce != 0); /* still mapped */
    node_leave(&second);
    assert_int_equal(scratch_count("."), 0);
    segment_detach(&second.index);
    node.lock = -1;
}

/* flock(2) belongs to the open file, which a forked child shares: a daemon keeps the cache of its
 * job. */
static void a_forked_child_keeps_it_alive(void **state)
{
    int ends[2];
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_int_equal(node_sweep(scratch()), 0);
    protected_fd_close(node.lock); /* as if the parent had been killed */
    node.lock = -1;
    assert_int_equal(node_sweep(scratch()), 0);
    close(ends[1]);
    close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(node_sweep(scratch()), 1);
    assert_int_equal(scratch_count("."), 0);
}

static void age(const char *name, time_t seconds)
{
    struct timeval times[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};

    assert_int_equal(utimes(scratch_path(name), times), 0);
}

static void node_make(const char *suffix, mode_t mode, bool lock, char name[64])
{
    snprintf(name, 64, "fastimport-%u-%s", (unsigned)getuid(), suffix);
    assert_int_equal(mkdir(scratch_path(name), 0700), 0);
    if (lock) {
        char file[100];

        snprintf(file, sizeof file, "%s/lock", name);
        scratch_text(file, "");
    }
    assert_int_equal(chmod(scratch_path(name), mode), 0);
}

static void the_sweep_takes_dead_caches_only(void **state)
{
    char dead[64], open_to_all[64], young[64], old[64], foreign[64], planted[64];
    char inside[100];

    (void)state;
    node_make("dead", 0700, true, dead);
    snprintf(inside, sizeof inside, "%s/files", dead);
    assert_int_equal(mkdir(scratch_path(inside), 0700), 0);
    snprintf(inside, sizeof inside, "%s/files/x", dead);
    scratch_text(inside, "x");
    node_make("open", 0755, true, open_to_all);
    node_make("young", 0700, false, young);
    node_make("old", 0700, false, old);
    age(old, 3600);
    node_make("foreign", 0700, true, foreign);
    assert_true(geteuid() != 0 || chown(scratch_path(foreign), 12345, 12345) == 0);
    assert_int_equal(mkdir(scratch_path("fastimport-x"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("victim"), 0700), 0);
    scratch_text("victim/lock", "");
    snprintf(planted, sizeof planted, "fastimport-%u-link", (unsigned)getuid());
    assert_int_equal(symlink(scratch_path("victim"), scratch_path(planted)), 0);

    assert_int_equal(node_sweep(scratch()), geteuid() == 0 ? 2 : 3);
    assert_false(scratch_has(dead));
    assert_false(scratch_has(old));
    assert_true(scratch_has(open_to_all));
    assert_true(scratch_has(young));
    assert_int_equal(scratch_has(foreign), geteuid() == 0);
    assert_true(scratch_has("fastimport-x"));
    assert_true(scratch_has("victim/lock"));
    assert_int_equal(access(node.directory, F_OK), 0); /* alive: setup() holds it */
    assert_int_equal(node_sweep(scratch_path("none")), 0);
}

static void removal_follows_no_symlink(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("victim"), 0700), 0);
    scratch_text("victim/file", "precious");
    assert_int_equal(mkdir(scratch_path("tree"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("tree/sub"), 0700), 0);
    scratch_text("tree/sub/file", "x");
    assert_int_equal(symlink("../victim", scratch_path("tree/link")), 0);
    assert_int_equal(symlink("victim", scratch_path("top")), 0);
    assert_int_equal(dirtree_remove(AT_FDCWD, scratch_path("tree")), 0);
    assert_int_equal(dirtree_remove(AT_FDCWD, scratch_path("top")), 0);
    assert_int_equal(dirtree_remove(AT_FDCWD, scratch_path("none")), -ENOENT);
    assert_true(scratch_has("victim/file"));
    assert_false(scratch_has("tree"));
    assert_false(scratch_has("top"));
}

static int noexec_is_seen(void *unused)
{
    struct node_cache other;

    (void)unused;
    return node_create(&other, scratch(), 1) == 0 && !other.may_execute ? 0 : 1;
}

static void knows_whether_it_may_execute(void **state)
{
    (void)state;
    assert_true(node.may_execute);
    assert_int_equal(on_small_tmpfs((struct small_tmpfs){4 << 20, true, noexec_is_seen, NULL}), 0);
}

#define node_test(f) cmocka_unit_test_setup_teardown(f, node_setup, node_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        node_test(is_private_and_unguessable),
        node_test(attaches_to_its_own_only),
        node_test(attaches_where_nobody_can_replace_it_only),
        node_test(node_attaching_survives_faults),
        node_test(node_creation_fails_and_leaves_nothing),
        node_test(the_last_one_out_removes_it),
        node_test(a_forked_child_keeps_it_alive),
        node_test(the_sweep_takes_dead_caches_only),
        scratch_test(removal_follows_no_symlink),
        node_test(knows_whether_it_may_execute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
