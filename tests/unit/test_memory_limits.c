/* SPDX-License-Identifier: BSD-3-Clause */
/* policy/memory_limits: where a process's group of the memory controller is, in both versions, in
 * containers and namespaces; what the files of such trees say. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "policy/memory_limits.h"

#define V1(root, where)                                                                            \
    "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"                                  \
    "35 25 0:32 " root " " where " rw,relatime shared:9 - cgroup cgroup rw,memory\n"
#define V2(root, where) "41 25 0:40 " root " " where " rw - cgroup2 cgroup2 rw,nsdelegate\n"
#define MEM             "/sys/fs/cgroup/memory"
#define UNIFIED         "/sys/fs/cgroup"

static const struct {
    bool is_v2;
    const char *self, *mountinfo;
    const char *path; /* NULL: there is none */
    const char *top;
} places[] = {
    {false, "4:memory:/slurm/uid_7/job_1\n", V1("/", MEM), MEM "/slurm/uid_7/job_1", MEM},
    {false, "9:cpu:/a\n4:cpuset,memory:/b\n0::/c\n", V1("/", MEM), MEM "/b", MEM},
    {false, "4:memory:/\n", V1("/", MEM), MEM, MEM},
    {false, "4:memoryx:/a\n3:xmemory:/b\n", V1("/", MEM), NULL, NULL},
    {false, "0::/a\n", V1("/", MEM), NULL, NULL},
    {false, "4:memory:/a\n", V2("/", UNIFIED), NULL, NULL},
    {false, "4:memory:/a", V1("/", MEM), MEM "/a", MEM},
    {false, "4:memory:/a:b\n", V1("/", MEM), MEM "/a:b", MEM},
    {true, "4:memory:/a\n0::/job/step\n", V1("/", MEM) V2("/", UNIFIED), UNIFIED "/job/step",
     UNIFIED},
    {true, "0::/\n", V2("/", UNIFIED), UNIFIED, UNIFIED},
    {true, "4:memory:/a\n", V2("/", UNIFIED), NULL, NULL},
    /* a container that sees the group's own tree only, without a namespace of groups */
    {false, "4:memory:/docker/12\n", V1("/docker/12", MEM), MEM, MEM},
    {false, "4:memory:/docker/12/in\n", V1("/docker/12", MEM), MEM "/in", MEM},
    {false, "4:memory:/docker/123\n", V1("/docker/12", MEM), NULL, NULL},
    {true, "0::/pod/a/b\n", V2("/pod/a", "/odd\\040name"), "/odd name/b", "/odd name"},
    /* in a namespace of groups: a mount from above it, and a group outside of it */
    {true, "0::/\n", V2("/../..", UNIFIED), UNIFIED, UNIFIED},
    {true, "0::/in\n", V2("/..", UNIFIED), UNIFIED, UNIFIED},
    {false, "4:memory:/in\n", V1("/../..", MEM) V1("/", "/other"), "/other/in", "/other"},
    {true, "0::/in\n", V2("/", "/other") V2("/../..", UNIFIED), "/other/in", "/other"},
    {true, "0::/in\n", V2("/../..", UNIFIED) V2("/..", "/other"), UNIFIED, UNIFIED},
    {true, "0::/../other\n", V2("/", UNIFIED), NULL, NULL},
    /* two mounts, of which one shows another group */
    {true, "0::/a/b\n", V2("/x", "/other") V2("/", UNIFIED), UNIFIED "/a/b", UNIFIED},
    /* damaged */
    {false, "", "", NULL, NULL},
    {false, "4:memory\n:\n::\n4:memory:a\n", V1("/", MEM), NULL, NULL},
    {true, "0::/a\n", "41 25 0:40\n- cgroup2\n", NULL, NULL},
};

static void finds_the_group(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct cgroup g;
        bool found = cgroup_find(&g, places[i].is_v2, places[i].self, places[i].mountinfo);

        print_message("%zu\n", i);
        assert_int_equal(found, places[i].path != NULL);
        if (found) {
            assert_string_equal(g.path, places[i].path);
            assert_int_equal(g.top, strlen(places[i].top));
            assert_int_equal(g.is_v2, places[i].is_v2);
        }
    }
}

/* --- trees of files --- */

#define MB 1048576ULL

static void write_in(const char *directory, const char *name, const char *text)
{
    char file[256];

    snprintf(file, sizeof file, "%s/%s", directory, name);
    scratch_text(file, text);
}

static struct cgroup group_at(const char *top, const char *below, bool is_v2)
{
    struct cgroup g = {.is_v2 = is_v2};

    g.top = (size_t)snprintf(g.path, sizeof g.path, "%s/%s", scratch(), top);
    strcat(g.path, below);
    return g;
}

static void version_1_at_all_levels(void **state)
{
    struct cgroup g = group_at("m", "/job/step", false);
    struct memory_limit out[4];

    (void)state;
    mkdir(scratch_path("m"), 0755);
    mkdir(scratch_path("m/job"), 0755);
    mkdir(scratch_path("m/job/step"), 0755);
    write_in("m", "memory.limit_in_bytes", "9223372036854771712\n");
    write_in("m/job", "memory.limit_in_bytes", "1048576000\n");
    write_in("m/job", "memory.usage_in_bytes", "419430400\n");
    write_in("m/job", "memory.stat",
             "cache 1\ninactive_file 7\ntotal_inactive_file 104857600\n"
             "total_active_file 209715200\n");
    write_in("m/job/step", "memory.limit_in_bytes", "9223372036854771712\n");
    write_in("m/job/step", "memory.usage_in_bytes", "10485760\n");
    write_in("m/job/step", "memory.stat", "hierarchical_memory_limit 524288000\n");
    assert_int_equal(cgroup_limits(&g, out, 4), 2);
    assert_int_equal(out[0].limit, 500 * MB); /* above what this mount shows */
    assert_int_equal(out[0].used, 10 * MB);
    assert_int_equal(out[1].limit, 1000 * MB);
    assert_int_equal(out[1].used, 100 * MB);
    assert_int_equal(cgroup_limits(&g, out, 1), 1);
}

static void version_2_at_all_levels(void **state)
{
    struct cgroup g = group_at("m", "/job/step", true);
    struct memory_limit out[4];

    (void)state;
    mkdir(scratch_path("m"), 0755);
    mkdir(scratch_path("m/job"), 0755);
    mkdir(scratch_path("m/job/step"), 0755);
    write_in("m", "memory.stat", "inactive_file 5\n"); /* a top group has no limits */
    write_in("m/job", "memory.max", "max\n");
    write_in("m/job", "memory.high", "209715200\n");
    write_in("m/job", "memory.current", "104857600\n");
    write_in("m/job", "memory.stat",
             "anon 5\nfile 4\nshmem 3\ninactive_anon 2\n"
             "inactive_file 10485760\nactive_file 20971520\n");
    write_in("m/job/step", "memory.max", "104857600\n");
    write_in("m/job/step", "memory.high", "max\n");
    assert_int_equal(cgroup_limits(&g, out, 4), 2);
    assert_int_equal(out[0].limit, 100 * MB); /* its use cannot be read */
    assert_int_equal(out[0].used, 0);
    assert_int_equal(out[1].limit, 200 * MB);
    assert_int_equal(out[1].used, 70 * MB);
}

static void what_cannot_be_read_sets_no_limit(void **state)
{
    static const char *const texts[] = {"", "max", "-5", "much", "18446744073709551616"};
    struct cgroup g = group_at("m", "", true);
    struct memory_limit out[4];

    (void)state;
    assert_int_equal(cgroup_limits(&g, out, 4), 0);
    mkdir(scratch_path("m"), 0755);
    assert_int_equal(cgroup_limits(&g, out, 4), 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_in("m", "memory.max", texts[i]);
        assert_int_equal(cgroup_limits(&g, out, 4), 0);
    }
    write_in("m", "memory.max", "4096");
    write_in("m", "memory.current", "1000");
    write_in("m", "memory.stat", "inactive_file 5000\n"); /* the two were not read at one moment */
    assert_int_equal(cgroup_limits(&g, out, 4), 1);
    assert_int_equal(out[0].used, 0);
}

/* --- all of a process --- */

static bool is_faked;

ssize_t __real_sys_read_file(const char *path, char *buf, size_t size);
ssize_t __wrap_sys_read_file(const char *path, char *buf, size_t size);
ssize_t __wrap_sys_read_file(const char *path, char *buf, size_t size)
{
    if (is_faked && strncmp(path, "/proc/", 6) == 0) {
        path = scratch_path(strrchr(path, '/') + 1);
    }
    return __real_sys_read_file(path, buf, size);
}

static void reads_all_of_this_process(void **state)
{
    struct memory_limit out[MEMORY_LIMITS];
    char mountinfo[512];

    (void)state;
    assert_true(memory_limits_read(out) >= 1); /* of the machine that this runs on */
    assert_true(out[0].limit > MB && out[0].used < out[0].limit);
    is_faked = true;
    assert_int_equal(memory_limits_read(out), 0);
    scratch_text("meminfo", "MemTotal:  1024 kB\nMemFree: 5 kB\nMemAvailable:     256 kB\n");
    assert_int_equal(memory_limits_read(out), 1);
    assert_int_equal(out[0].limit, MB);
    assert_int_equal(out[0].used, 768 * 1024);
    mkdir(scratch_path("m"), 0755);
    mkdir(scratch_path("m/job"), 0755);
    write_in("m/job", "memory.max", "4096\n");
    snprintf(mountinfo, sizeof mountinfo, "41 25 0:40 / %s/m rw - cgroup2 cgroup2 rw\n", scratch());
    scratch_text("mountinfo", mountinfo);
    scratch_text("cgroup", "0::/job\n");
    assert_int_equal(memory_limits_read(out), 2);
    assert_int_equal(out[1].limit, 4096);
    scratch_text("cgroup", "");
    scratch_text("meminfo", "MemTotal:  1024 kB\nMemAvailable:     256 kB\n");
    assert_true(memory_limits_allow(64 * 1024));
    assert_false(memory_limits_allow(64 * 1024 + 1));
    scratch_text("meminfo", "MemTotal:  1024 kB\nMemAvailable:     127 kB\n");
    assert_false(memory_limits_allow(1));
    is_faked = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_group),       scratch_test(version_1_at_all_levels),
        scratch_test(version_2_at_all_levels),   scratch_test(what_cannot_be_read_sets_no_limit),
        scratch_test(reads_all_of_this_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
