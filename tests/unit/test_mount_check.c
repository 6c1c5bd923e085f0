/* SPDX-License-Identifier: BSD-3-Clause */
/* mounted: what is the same directory in another rank, by the mounts of both. */
#include "scratch.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "policy/mount_check.h"
#include "policy/mounts.h"

#define ROOT                         "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
#define AT(n, parent, where, what)   n " " parent " 0:4" n " / " where " rw shared:1 - " what " rw\n"
#define BIND(n, parent, from, where) n " " parent " 8:1 " from " " where " rw - ext4 /dev/sda1 rw\n"
#define NFS                          ROOT AT("2", "1", "/sw", "nfs4 s1:/x")

/* Of /sw/env. */
static const struct {
    const char *mine, *theirs;
    bool same;
} cases[] = {
    /* the same by another server's name, address, device number */
    {NFS, ROOT "7 1 0:99 / /sw ro - nfs4 s2:/x rw\n", true},
    {NFS, ROOT AT("2", "1", "/sw", "nfs4 [fe80::1]:/x"), true},
    {ROOT AT("2", "1", "/sw", "lustre 10.0.0.1@o2ib:10.0.0.2@o2ib:/fs"),
     ROOT AT("2", "1", "/sw", "lustre 10.0.0.2@o2ib:10.0.0.1@o2ib:/fs"), true},
    {ROOT AT("2", "1", "/sw", "fuse.glusterfs a:vol"),
     ROOT AT("2", "1", "/sw", "fuse.glusterfs b:vol"), true},
    {ROOT AT("2", "1", "/sw", "fuse.client@7 fs:/x"),
     ROOT AT("2", "1", "/sw", "fuse.client@8 fs:/x"), true},
    {ROOT AT("2", "1", "/sw", "cifs //a/share"), ROOT AT("2", "1", "/sw", "cifs //b/share"), true},
    {ROOT AT("2", "1", "/sw", "wekafs a,b/fs"), ROOT AT("2", "1", "/sw", "wekafs c/fs"), true},
    /* mounted at another place on the way, or bound */
    {NFS, ROOT AT("2", "1", "/sw/env", "nfs4 s1:/x/env"), true},
    {ROOT AT("2", "1", "/sw", "gpfs fs1"), ROOT "2 1 0:9 /env /sw/env rw - gpfs fs1 rw\n", true},
    /* another one */
    {NFS, ROOT AT("2", "1", "/sw", "nfs4 s1:/y"), false},
    {NFS, ROOT AT("2", "1", "/sw", "lustre s1:/x"), false},
    {NFS, NFS AT("3", "2", "/sw/env", "nfs4 s1:/y"), false},
    {NFS, ROOT, false},
    {NFS, NFS BIND("3", "2", "/home/u/env", "/sw/env"), false},
    {ROOT AT("2", "1", "/sw", "cifs //a/share"), ROOT AT("2", "1", "/sw", "cifs //a/other"), false},
    {ROOT AT("2", "1", "/sw", "ceph u@1.fs1=/"), ROOT AT("2", "1", "/sw", "ceph u@1.fs2=/"), false},
    {ROOT AT("2", "1", "/sw", "gpfs fs1"), ROOT AT("2", "1", "/sw", "gpfs fs2"), false},
    /* local: whatever the device and the type */
    {ROOT, "1 0 259:3 / / rw - ext4 /dev/nvme0n1p2 rw\n", true},
    {ROOT, ROOT BIND("2", "1", "/other", "/sw/env"), false},
    {ROOT, ROOT AT("2", "1", "/sw", "tmpfs none"), false},
    {ROOT, ROOT BIND("2", "1", "/sw/env", "/sw/env"), true},
    {"1 0 0:50 / / rw - overlay overlay rw\n", "1 0 0:60 / / rw - overlay overlay rw\n", true},
    /* not mounted yet */
    {NFS, ROOT AT("2", "1", "/sw", "autofs auto.sw"), true},
    {NFS, ROOT AT("2", "1", "/sw", "autofs auto.sw") AT("3", "2", "/sw", "nfs4 s2:/x"), true},
    {NFS, ROOT AT("2", "1", "/sw", "autofs auto.sw") AT("3", "2", "/sw", "nfs4 s2:/y"), false},
    /* a mount that another one hides; one over the other */
    {NFS, ROOT AT("3", "1", "/sw/env", "nfs4 s1:/y") AT("2", "1", "/sw", "nfs4 s1:/x"), true},
    {NFS AT("3", "2", "/sw/env", "nfs4 s1:/y"), NFS AT("3", "2", "/sw/env", "nfs4 s1:/z"), false},
    {NFS, NFS AT("4", "2", "/sw", "nfs4 s1:/y"), false},
    /* below: bound over; mounted by themselves */
    {NFS, NFS AT("3", "2", "/sw/env/lib", "nfs4 s1:/y"), false},
    {NFS, NFS AT("3", "2", "/sw/env/lib", "tmpfs none"), false},
    {NFS AT("3", "2", "/sw/env/a", "tmpfs t"), NFS AT("3", "2", "/sw/env/b", "tmpfs t"), false},
    {NFS, NFS AT("3", "2", "/sw/environment", "tmpfs none"), true},
    {NFS, NFS AT("3", "2", "/sw/env/lib", "nfs4 s1:/x/env/lib"), true},
    {NFS, NFS AT("3", "2", "/sw/env/a", "autofs m") AT("4", "3", "/sw/env/a/b", "nfs4 s:/b"), true},
    {ROOT, ROOT BIND("2", "1", "/other", "/sw/env/lib"), false},
    /* behind chroot, in a directory that is no mount point */
    {ROOT, "2 1 0:5 / /proc rw - proc proc rw\n", false},
    {"2 1 0:5 / /proc rw - proc proc rw\n", "2 1 0:7 / /proc rw - proc proc rw\n", true},
    {ROOT, "", false},
};

static bool mount_check_same(const char *mine, const char *theirs)
{
    uint64_t a = mounts_identity(mine, "/sw/env");
    uint64_t b = mounts_identity(theirs, "/sw/env");

    return a == 0 || b == 0 || a == b;
}

static void knows_the_same_directory(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (mount_check_same(cases[i].mine, cases[i].theirs) != cases[i].same ||
            mount_check_same(cases[i].theirs, cases[i].mine) != cases[i].same) {
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
        mounts_identity("1 2 0:1 / / rw - ext4 x rw\n2 1 0:1 / / rw - nfs s:/x rw\n", "/sw/env"),
        0);
    for (int i = 1; i <= 100; i++) {
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%d %d 0:1 / / rw - ext4 x rw\n", i, i - 1);
    }
    assert_int_not_equal(mounts_identity(text, "/sw/env"), 0);
    mounts_identity("nonsense\n\n - \n1 0\n", "/sw/env");
}

static void excludes_what_differs(void **state)
{
    static const char table[] = "A/usr/lib\nI/usr/share\nX/usr/share/x\nL/tmp\n";
    struct policy policy;
    struct mount_check root;

    (void)state;
    policy_load(&policy, table, sizeof table - 1);
    mount_check_look(&policy, &root);
    assert_int_equal(root.roots[2], 0);
    assert_int_equal(mount_check_exclude(&policy, &root), 0);
    assert_int_equal(policy_verdict(&policy, "/usr/share/m.py", 15), OURS);
    root.roots[1] += 2;
    root.roots[3] = 0; /* not known there */
    assert_int_equal(mount_check_exclude(&policy, &root), 1);
    assert_int_equal(policy_verdict(&policy, "/usr/share/m.py", 15), NOT_OURS);
    assert_int_equal(policy_verdict(&policy, "/usr/lib/m.py", 13), OURS);
}

static void knows_the_device_of_a_path(void **state)
{
    (void)state;
    assert_int_equal(mounts_device(NFS, "/sw/env"), makedev(0, 42));
    assert_int_equal(mounts_device(NFS, "/opt"), makedev(8, 1));
    assert_int_equal(mounts_device("", "/opt"), 0);
}

static void pairs_the_devices_that_differ(void **state)
{
    static const char table[] = "A/usr/lib\nA/usr/share\n";
    struct policy policy;
    struct mount_check root;
    struct device_map map;

    (void)state;
    policy_load(&policy, table, sizeof table - 1);
    mount_check_look(&policy, &root);
    mount_check_map(&policy, &root, &map);
    assert_int_equal(map.n, 0);
    root.devices[0] = 0; /* not known there */
    root.devices[1] += 5;
    mount_check_map(&policy, &root, &map);
    assert_int_equal(map.n, 1);
    assert_int_equal(map.pairs[0].there, root.devices[1]);
    assert_int_equal(map.pairs[0].here, root.devices[1] - 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_same_directory),
        cmocka_unit_test(survives_nonsense),
        cmocka_unit_test(excludes_what_differs),
        cmocka_unit_test(knows_the_device_of_a_path),
        cmocka_unit_test(pairs_the_devices_that_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
