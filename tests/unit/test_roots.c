/* SPDX-License-Identifier: BSD-3-Clause */
/* roots: file-system types, options of python(1), virtual environments, from a fake
 * /proc/self/mountinfo. */
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "faults.h"
#include "policy/mounts.h"
#include "policy/policy.h"
#include "policy/roots.h"

static char mountinfo[8192]; /* what is read instead of /proc/self/mountinfo, unless empty */
static char text[POLICY_TEXT];

ssize_t __real_sys_read_file(const char *path, char *buf, size_t size);
ssize_t __wrap_sys_read_file(const char *path, char *buf, size_t size);
ssize_t __wrap_sys_read_file(const char *path, char *buf, size_t size)
{
    if (strcmp(path, "/proc/self/mountinfo") != 0 || mountinfo[0] == '\0') {
        return __real_sys_read_file(path, buf, size);
    }
    snprintf(buf, size, "%s", mountinfo);
    return (ssize_t)strlen(buf);
}

static int roots_setup(void **state)
{
    mountinfo[0] = '\0';
    unsetenv("CONDA_PREFIX");
    unsetenv("VIRTUAL_ENV");
    unsetenv("PYTHONPATH");
    unsetenv("LD_LIBRARY_PATH");
    return scratch_setup(state) || mkdir(scratch_path("app"), 0755) ||
           mkdir(scratch_path("my share"), 0755);
}

static void compute_roots(const struct fi_config *config, bool is_python, int argc, char **argv)
{
    struct roots_input in = {config, argc, argv, is_python, false};
    size_t n = roots_compute(&in, text, sizeof text);

    assert_int_equal(n, strlen(text));
}

static bool roots_has(char scope, const char *path)
{
    char line[4300];

    snprintf(line, sizeof line, "%c%s\n", scope, path);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if (at == text || at[-1] == '\n') {
            return true;
        }
    }
    return false;
}

static void knows_network_file_systems(void **state)
{
    static const char *const network[] = {
        "nfs",  "nfs4",  "lustre", "gpfs", "beegfs", "ceph", "fuse.sharedfs", "9p",
        "cifs", "panfs", "afs",    "fuse", "dvs",    "cvfs", "fuse.daos",     "beegfs_nodev"};
    static const char *const local[] = {"ext4", "xfs",     "btrfs", "tmpfs", "overlay",
                                        "zfs",  "fuseblk", "nfsd",  ""};

    (void)state;
    for (size_t i = 0; i < sizeof network / sizeof *network; i++) {
        assert_true(mounts_is_network(network[i]));
    }
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        assert_false(mounts_is_network(local[i]));
    }
}

/* Is a directory of the scratch directory taken, when the mounts are these? "@" stands for the
 * scratch directory. */
static bool roots_taken(const char *mounts, const char *name)
{
    struct fi_config config = {.fs = FI_FS_NETWORK, .path = scratch_path(name)};
    size_t n = 0;

    for (const char *at = mounts; *at != '\0' && n < sizeof mountinfo - 200; at++) {
        n += (size_t)snprintf(mountinfo + n, sizeof mountinfo - n, *at == '@' ? "%s" : "%.1s",
                              *at == '@' ? scratch() : at);
    }
    compute_roots(&config, false, 0, NULL);
    return roots_has('A', scratch_path(name));
}

static void the_longest_mount_decides(void **state)
{
    (void)state;
    assert_false(roots_taken("1 0 0:1 / / rw - ext4 /dev/sda rw\n", "app"));
    assert_true(roots_taken(
        "1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / @ rw shared:1 - nfs4 s:/x rw\n", "app"));
    assert_true(
        roots_taken("2 1 0:2 / @ rw - nfs4 s:/x rw\n1 0 0:1 / / rw - ext4 /dev/sda rw\n", "app"));
    assert_false(roots_taken(
        "2 1 0:2 / @ rw - nfs4 s:/x rw\n3 2 0:3 / @/app rw - ext4 /dev/sdb rw\n", "app"));
    assert_false(roots_taken(
        "1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / @/ap rw - nfs4 s:/x rw\n", "app"));
    assert_true(roots_taken("1 0 0:1 / / rw - fuse.sharedfs x rw\n", "app"));
    assert_true(roots_taken(
        "1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / @ rw - ext4 x rw\n3 2 0:3 / @ rw - lustre over rw\n",
        "app"));
    assert_false(roots_taken("nonsense\n\n - \n1 0\n", "app"));
}

/* The kernel writes a space in a mount point as \040 (proc_pid_mountinfo(5)). */
static void mount_points_are_unescaped(void **state)
{
    (void)state;
    assert_true(roots_taken(
        "1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / @/my\\040share rw - nfs4 s:/x rw\n", "my share"));
}

static void any_file_system_on_request(void **state)
{
    struct fi_config config = {
        .fs = FI_FS_ALL, .path = scratch_path("app"), .exclude = "/x/y:relative:/"};
    char list[8192];

    (void)state;
    snprintf(list, sizeof list, "%s:%s:%s//:", scratch_path("app"), scratch_path("none"),
             scratch_path("app"));
    config.path = list;
    compute_roots(&config, false, 0, NULL);
    assert_true(roots_has('A', scratch_path("app")));
    assert_int_equal(occurrences(text, "/app\n"), 1); /* once */
    assert_false(roots_has('A', scratch_path("none")));
    assert_true(roots_has('X', "/x/y"));
    assert_false(roots_has('X', "/"));
}

static void symlinks_count_under_both_names(void **state)
{
    struct fi_config config = {.fs = FI_FS_ALL, .path = scratch_path("link")};

    (void)state;
    assert_int_equal(symlink("app", scratch_path("link")), 0);
    compute_roots(&config, false, 0, NULL);
    assert_true(roots_has('A', scratch_path("link")));
    assert_true(roots_has('A', scratch_path("app")));
}

/* The script's directory for this command line, "@" standing for it; NULL: there must be none. */
static bool script_found(int argc, const char *const *words)
{
    struct fi_config config = {.fs = FI_FS_ALL};
    char storage[8][300];
    char *argv[9] = {NULL};

    for (int i = 0; i < argc; i++) {
        snprintf(storage[i], sizeof storage[0], "%s%s", words[i][0] == '@' ? scratch() : "",
                 words[i] + (words[i][0] == '@'));
        argv[i] = storage[i];
    }
    compute_roots(&config, true, argc, argv);
    return roots_has('I', scratch_path("app"));
}

#define COMMAND(...)                                                                               \
    script_found((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                    \
                 (const char *const[]){__VA_ARGS__})

static void finds_the_script_behind_options(void **state)
{
    (void)state;
    assert_true(COMMAND("python", "@/app/main.py"));
    assert_true(COMMAND("python", "@/app/main.py", "-c", "x"));
    assert_true(COMMAND("python", "-u", "-I", "@/app/main.py"));
    assert_true(COMMAND("python", "-X", "importtime", "@/app/main.py"));
    assert_true(COMMAND("python", "-Ximporttime", "@/app/main.py"));
    assert_true(COMMAND("python", "-W", "ignore", "@/app/main.py"));
    assert_true(COMMAND("python", "-Wonce::cm", "@/app/main.py"));
    assert_true(COMMAND("python", "-Es", "@/app/main.py"));
    assert_true(COMMAND("python", "-sW", "ignore", "@/app/main.py"));
    assert_true(COMMAND("python", "-uX", "dev", "@/app/main.py"));
    assert_true(COMMAND("python", "-uXcpu", "@/app/main.py"));
    assert_true(COMMAND("python", "--check-hash-based-pycs", "always", "@/app/main.py"));
    assert_true(COMMAND("python", "@/app")); /* it has a __main__.py */
    assert_false(COMMAND("python", "-c", "pass", "@/app/main.py"));
    assert_false(COMMAND("python", "-m", "module", "@/app/main.py"));
    assert_false(COMMAND("python", "-um", "module", "@/app/main.py"));
    assert_false(COMMAND("python", "-", "@/app/main.py"));
    assert_false(COMMAND("python"));
}

static void follows_a_virtual_environment_to_its_base(void **state)
{
    struct fi_config config = {.fs = FI_FS_ALL};
    char program[300];
    char *argv[] = {program, NULL};
    char cfg[600];

    (void)state;
    assert_int_equal(mkdir(scratch_path("venv"), 0755) | mkdir(scratch_path("venv/bin"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("base"), 0755) | mkdir(scratch_path("base/bin"), 0755), 0);
    snprintf(program, sizeof program, "%s", scratch_path("venv/bin/python"));
    snprintf(cfg, sizeof cfg, "include-system-site-packages = false\nhome = %s\nversion = 3.11\n",
             scratch_path("base/bin"));
    scratch_text("venv/pyvenv.cfg", cfg);
    compute_roots(&config, true, 1, argv);
    assert_true(roots_has('A', scratch_path("venv")));
    assert_true(roots_has('A', scratch_path("base")));
    snprintf(cfg, sizeof cfg, "home=%s\n", scratch_path("base/bin"));
    scratch_text("venv/pyvenv.cfg", cfg);
    compute_roots(&config, true, 1, argv);
    assert_true(roots_has('A', scratch_path("base")));
    scratch_text("venv/pyvenv.cfg", "nothing here\n");
    compute_roots(&config, true, 1, argv);
    assert_true(roots_has('A', scratch_path("venv")));
    assert_false(roots_has('A', scratch_path("base")));
}

static void takes_the_environment_variables(void **state)
{
    struct fi_config config = {.fs = FI_FS_ALL};

    (void)state;
    setenv("PYTHONPATH", scratch_path("app"), 1);
    setenv("LD_LIBRARY_PATH", scratch_path("my share"), 1);
    setenv("CONDA_PREFIX", scratch(), 1);
    compute_roots(&config, true, 0, NULL);
    assert_true(roots_has('I', scratch_path("app")));
    assert_true(roots_has('L', scratch_path("my share")));
    assert_true(roots_has('A', scratch()));
    compute_roots(&config, false, 0, NULL); /* an MPI program that is no Python */
    assert_false(roots_has('I', scratch_path("app")));
    assert_true(roots_has('L', scratch_path("my share")));
}

static void too_much_is_left_out(void **state)
{
    struct fi_config config = {.fs = FI_FS_ALL, .exclude = NULL};
    static char list[3 * POLICY_TEXT];
    size_t n = 0;

    (void)state;
    for (int i = 0; n < sizeof list - 300; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "/%0*d:", 200, i);
    }
    config.exclude = list;
    compute_roots(&config, false, 0, NULL);
    assert_true(strlen(text) > POLICY_TEXT - 300 && strlen(text) < POLICY_TEXT);
    assert_int_equal(text[strlen(text) - 1], '\n');
    config.exclude = "/with\nnewline";
    compute_roots(&config, false, 0, NULL);
    assert_string_equal(text, "");
}

static void finds_the_prefix(void **state)
{
    char out[300];

    (void)state;
    assert_true(roots_prefix("/sw/env/bin/python3", out, sizeof out));
    assert_string_equal(out, "/sw/env");
    assert_false(roots_prefix("/python3", out, sizeof out));
    assert_false(roots_prefix("/sw/../bin/python3", out, sizeof out));
    assert_false(roots_prefix("/sw/env/bin/python3", out, 5));
    assert_true(roots_prefix(NULL, out, sizeof out)); /* what execve(2) was given */
}

static bool none(enum fi_fs fs, const char *nfs, const char *pythonpath, char *script)
{
    struct fi_config config = {.fs = fs, .exclude = "/some/where"};
    char *argv[] = {"/usr/bin/python3", script, NULL};
    struct roots_input in = {&config, script == NULL ? 1 : 2, argv, true, false};

    snprintf(mountinfo, sizeof mountinfo,
             "1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / %s rw - nfs4 s:/x rw\n", nfs);
    if (pythonpath == NULL) {
        unsetenv("PYTHONPATH");
    } else {
        setenv("PYTHONPATH", pythonpath, 1);
    }
    return roots_are_none(&in);
}

static void knows_that_there_is_nothing(void **state)
{
    char app[600], linked[600], list[1300];

    (void)state;
    snprintf(app, sizeof app, "%s", scratch_path("app"));
    snprintf(linked, sizeof linked, "%s", scratch_path("linked"));
    snprintf(list, sizeof list, "/usr/lib:%s", app);
    assert_int_equal(symlink(app, linked), 0);
    assert_true(none(FI_FS_NETWORK, "/nowhere", NULL, NULL));
    assert_true(none(FI_FS_NETWORK, "/nowhere", list, app));
    assert_false(none(FI_FS_NETWORK, app, list, NULL));
    assert_false(none(FI_FS_NETWORK, app, NULL, app));
    assert_false(none(FI_FS_NETWORK, app, linked, NULL)); /* by name it is not there */
    assert_false(none(FI_FS_NETWORK, "/usr", NULL, NULL));
    assert_false(none(FI_FS_ALL, "/nowhere", NULL, NULL));
}

/* Where a name is on a network file system, nothing is asked of any. */
static void looks_at_names_first(void **state)
{
    (void)state;
    fault_arm(FAULT_sys_open, -EIO, 0, ALWAYS);
    fault_arm(FAULT_sys_stat, -EIO, 0, ALWAYS);
    fault_arm(FAULT_sys_access, -EIO, 0, ALWAYS);
    assert_false(none(FI_FS_NETWORK, "/no/server", "/no/server/lib", NULL));
    assert_true(none(FI_FS_NETWORK, "/nowhere", "/no/server/lib", NULL));
    fault_clear();
}

#define roots_test(f) cmocka_unit_test_setup_teardown(f, roots_setup, scratch_teardown)

/* One line for each element that is not what its user meant, and only where it is wanted. */
static void names_what_is_not_there(void **state)
{
    char path[4300];
    char expected[4600];
    struct fi_config config = {.fs = FI_FS_ALL, .path = path, .exclude = "/gone:x:/a/../b"};
    struct roots_input in = {&config, 0, NULL, false, true};

    (void)state;
    snprintf(path, sizeof path, "%s/app:%s/none::.:/x/..", scratch(), scratch());
    capture_begin();
    roots_compute(&in, text, sizeof text);
    snprintf(expected, sizeof expected,
             "fastimport: warning: FASTIMPORT_EXCLUDE: x is not absolute: it is taken from the "
             "working directory\n"
             "fastimport: warning: FASTIMPORT_EXCLUDE: /a/../b is left out, for it has '..' in it\n"
             "fastimport: warning: FASTIMPORT_PATH: %s/none does not exist\n"
             "fastimport: warning: FASTIMPORT_PATH: . is not absolute: it is taken from the "
             "working directory\n"
             "fastimport: warning: FASTIMPORT_PATH: /x/.. is left out, for it has '..' in it\n",
             scratch());
    assert_string_equal(capture_end(), expected);
    assert_true(roots_has('A', scratch_path("app")));
    in.complains = false;
    capture_begin();
    roots_compute(&in, text, sizeof text);
    assert_string_equal(capture_end(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        roots_test(knows_network_file_systems),
        roots_test(the_longest_mount_decides),
        roots_test(mount_points_are_unescaped),
        roots_test(any_file_system_on_request),
        roots_test(symlinks_count_under_both_names),
        roots_test(finds_the_script_behind_options),
        roots_test(follows_a_virtual_environment_to_its_base),
        roots_test(takes_the_environment_variables),
        roots_test(too_much_is_left_out),
        roots_test(finds_the_prefix),
        roots_test(names_what_is_not_there),
        roots_test(knows_that_there_is_nothing),
        roots_test(looks_at_names_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
