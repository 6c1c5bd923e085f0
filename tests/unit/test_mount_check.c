/* SPDX-License-Identifier: BSD-3-Clause */
/* mounted: what is the same directory in another rank, by the mounts of both. */
#include "scratch.h"

#include <stdio.h>
#include <string.h>

#include "policy/mount_check.h"
#include "policy/mounts.h"

#define ROOT                         "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
#define AT(n, parent, where, what)   n " " parent " 0:4" n " / " where " rw shared:1 - " what " rw\n"
#define BIND(n, parent, from, where) n " " parent " 8:1 " from " " where " rw - ext4 /dev/sda1 rw\n"
#define NFS                          ROOT AT("2", "1", "/sw", "nfs4 s1:/x")

/* Of /sw/env. */
static const struct {
    const char *mine, *theirs;
    bool on_same_node, on_other_node;
} cases[] = {
    /* the same by another server's name, address, device number */
    {NFS, ROOT "7 1 0:99 / /sw ro - nfs4 s2:/x rw\n", true, true},
    {NFS, ROOT AT("2", "1", "/sw", "nfs4 [fe80::1]:/x"), true, true},
    {ROOT AT("2", "1", "/sw", "lustre 10.0.0.1@o2ib:10.0.0.2@o2ib:/fs"),
     ROOT AT("2", "1", "/sw", "lustre 10.0.0.2@o2ib:10.0.0.1@o2ib:/fs"), true, true},
    {ROOT AT("2", "1", "/sw", "fuse.glusterfs a:vol"),
     ROOT AT("2", "1", "/sw", "fuse.glusterfs b:vol"), true, true},
    {ROOT AT("2", "1", "/sw", "fuse.client@7 fs:/x"),
     ROOT AT("2", "1", "/sw", "fuse.client@8 fs:/x"), true, true},
    {ROOT AT("2", "1", "/sw", "cifs //a/share"), ROOT AT("2", "1", "/sw", "cifs //b/share"), true,
     true},
    {ROOT AT("2", "1", "/sw", "wekafs a,b/fs"), ROOT AT("2", "1", "/sw", "wekafs c/fs"), true,
     true},
    /* mounted at another place on the way, or bound */
    {NFS, ROOT AT("2", "1", "/sw/env", "nfs4 s1:/x/env"), true, true},
    {ROOT AT("2", "1", "/sw", "gpfs fs1"), ROOT "2 1 0:9 /env /sw/env rw - gpfs fs1 rw\n", true,
     true},
    /* another one */
    {NFS, ROOT AT("2", "1", "/sw", "nfs4 s1:/y"), false, false},
    {NFS, ROOT AT("2", "1", "/sw", "lustre s1:/x"), false, false},
    {NFS, NFS AT("3", "2", "/sw/env", "nfs4 s1:/y"), false, false},
    {NFS, ROOT, false, false},
    {NFS, NFS BIND("3", "2", "/home/u/env", "/sw/env"), false, false},
    {ROOT AT("2", "1", "/sw", "cifs //a/share"), ROOT AT("2", "1", "/sw", "cifs //a/other"), false,
     false},
    {ROOT AT("2", "1", "/sw", "ceph u@1.fs1=/"), ROOT AT("2", "1", "/sw", "ceph u@1.fs2=/"), false,
     false},
    {ROOT AT("2", "1", "/sw", "gpfs fs1"), ROOT AT("2", "1", "/sw", "gpfs fs2"), false, false},
    /* local: of the root's node only, whatever the device */
    {ROOT, "1 0 259:3 / / rw - ext4 /dev/nvme0n1p2 rw\n", true, true},
    {ROOT, ROOT BIND("2", "1", "/other", "/sw/env"), false, true},
    {ROOT, ROOT AT("2", "1", "/sw", "tmpfs none"), false, true},
    {ROOT, ROOT BIND("2", "1", "/sw/env", "/sw/env"), true, true},
    {"1 0 0:50 / / rw - overlay overlay rw\n", "1 0 0:60 / / rw - overlay overlay rw\n", true,
     true},
    /* not mounted yet */
    {NFS, ROOT AT("2", "1", "/sw", "autofs auto.sw"), true, true},
    {NFS, ROOT AT("2", "1", "/sw", "autofs auto.sw") AT("3", "2", "/sw", "nfs4 s2:/x"), true, true},
    {NFS, ROOT AT("2", "1", "/sw", "autofs auto.sw") AT("3", "2", "/sw", "nfs4 s2:/y"), false,
     false},
    /* a mount that another one hides; one over the other */
    {NFS, ROOT AT("3", "1", "/sw/env", "nfs4 s1:/y") AT("2", "1", "/sw", "nfs4 s1:/x"), true, true},
    {NFS AT("3", "2", "/sw/env", "nfs4 s1:/y"), NFS AT("3", "2", "/sw/env", "nfs4 s1:/z"), false,
     false},
    {NFS, NFS AT("4", "2", "/sw", "nfs4 s1:/y"), false, false},
    /* below: bound over; mounted by themselves */
    {NFS, NFS AT("3", "2", "/sw/env/lib", "nfs4 s1:/y"), false, false},
    {NFS, NFS AT("3", "2", "/sw/env/lib", "tmpfs none"), false, false},
    {NFS AT("3", "2", "/sw/env/a", "tmpfs t"), NFS AT("3", "2", "/sw/env/b", "tmpfs t"), false,
     false},
    {NFS, NFS AT("3", "2", "/sw/environment", "tmpfs none"), true, true},
    {NFS, NFS AT("3", "2", "/sw/env/lib", "nfs4 s1:/x/env/lib"), true, true},
    {NFS, NFS AT("3", "2", "/sw/env/a", "autofs m") AT("4", "3", "/sw/env/a/b", "nfs4 s:/b"), true,
     true},
    {ROOT, ROOT BIND("2", "1", "/other", "/sw/env/lib"), false, true},
    /* behind chroot, in a directory that is no mount point */
    {ROOT, "2 1 0:5 / /proc rw - proc proc rw\n", false, false},
    {"2 1 0:5 / /proc rw - proc proc rw\n", "2 1 0:7 / /proc rw - proc proc rw\n", true, true},
    {ROOT, "", false, false},
};

static bool mount_check_same(const char *mine, const char *theirs, bool same_node)
{
    uint64_t a = mounts_identity(mine, "/sw/env", same_node);
    uint64_t b = mounts_identity(theirs, "/sw/env", same_node);

    return a == 0 || b == 0 || a == b;
}

static void knows_the_same_directory(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (mount_check_same(cases[i].mine, cases[i].theirs, true) != cases[i].on_same_node ||
            mount_check_same(cases[i].theirs, cases[i].mine, false) != cases[i].on_other_node) {
            fail_msg("case %zu:\n%s--\n%s", i, cases[i].mine, cases[i].theirs);
        }
    }
}

/* A cycle of parents, a hundred mounts at one place. */
static void survives_nonsense(void **state)
{
    char text[8192];
    size_t n = 0;

    (void)state;
    assert_int_not_equal(
        mounts_identity("1 2 0:1 / / rw - ext4 x rw\n2 1 0:1 / / rw - nfs s:/x rw\n", "/sw/env",
                        true),
        0);
    for (int i = 1; i <= 100; i++) {
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%d %d 0:1 / / rw - ext4 x rw\n", i, i - 1);
    }
    assert_int_not_equal(mounts_identity(text, "/sw/env", true), 0);
    mounts_identity("nonsense\n\n - \n1 0\n", "/sw/env", true);
}

static void excludes_what_differs(void **state)
{
    static const char table[] = "A/usr/lib\nI/usr/share\nX/usr/share/x\nL/tmp\n";
    struct policy policy;
    struct mount_check root;

    (void)state;
    policy_load(&policy, table, sizeof table - 1);
    mount_check_look(&policy, &root);
    assert_int_equal(root.roots[2].same_node, 0);
    assert_int_equal(mount_check_exclude(&policy, &root, true), 0);
    assert_int_equal(mount_check_exclude(&policy, &root, false), 0);
    assert_int_equal(policy_verdict(&policy, "/usr/share/m.py", 15), OURS);
    root.roots[1].same_node += 2;
    root.roots[3].same_node = 0; /* not known there */
    assert_int_equal(mount_check_exclude(&policy, &root, false), 0);
    assert_int_equal(mount_check_exclude(&policy, &root, true), 1);
    assert_int_equal(policy_verdict(&policy, "/usr/share/m.py", 15), NOT_OURS);
    assert_int_equal(policy_verdict(&policy, "/usr/lib/m.py", 13), OURS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_same_directory),
        cmocka_unit_test(survives_nonsense),
        cmocka_unit_test(excludes_what_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
