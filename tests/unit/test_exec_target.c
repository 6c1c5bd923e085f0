/* SPDX-License-Identifier: BSD-3-Clause */
/* successor: which program does exec start, and will ld.so preload us there? This program stands
 * for the library. */
#include "scratch.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/exec_target.h"
#include "process/role.h"

static const char node[] = ROLE_NODE_VARIABLE "=7:1f:2a:/dev/shm/x";
static const char preload[] = "LD_PRELOAD=/lib/other.so:/some/where/libfastimport.so";
static char *const environment[] = {(char *)"HOME=/", (char *)node, (char *)preload, NULL};

static int set_up(void **state)
{
    setenv(ROLE_NODE_VARIABLE, "7:1f:2a:/dev/shm/x", 1);
    return scratch_setup(state);
}

#define successor_test(f) cmocka_unit_test_setup_teardown(f, set_up, scratch_teardown)

/* A file that begins as this program does; what the caller wants to be different is written over
 * it. */
static ElfW(Ehdr) own_header(void)
{
    ElfW(Ehdr) header;
    size_t size;
    char *bytes = scratch_read("/proc/self/exe", &size);

    memcpy(&header, bytes, sizeof header);
    free(bytes);
    return header;
}

static const char *program(const char *name, const ElfW(Ehdr) * header, unsigned type)
{
    struct {
        ElfW(Ehdr) header;
        ElfW(Phdr) segments[2];
    } file = {.header = *header, .segments = {{.p_type = PT_LOAD}, {.p_type = type}}};

    file.header.e_phoff = sizeof file.header;
    file.header.e_phnum = 2;
    scratch_write(name, &file, sizeof file, 0755);
    return scratch_path(name);
}

static const char *a_script(const char *name, const char *interpreter)
{
    char text[600];
    int n = snprintf(text, sizeof text, "#! %s -e\nexit 3\n", interpreter);

    scratch_write(name, text, (size_t)n, 0755);
    return scratch_path(name);
}

static void knows_what_can_be_started(void **state)
{
    (void)state;
    scratch_write("plain", "x", 1, 0644);
    assert_true(exec_target_exists("/proc/self/exe"));
    assert_false(exec_target_exists(scratch_path("plain")));
    assert_false(exec_target_exists(scratch()));
    assert_false(exec_target_exists(scratch_path("absent")));
    assert_false(exec_target_exists(""));
}

static void searches_as_execvp_does(void **state)
{
    char list[1024];
    char path[256];
    char small[8];

    (void)state;
    assert_int_equal(mkdir(scratch_path("first"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("second"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("first/word"), 0755), 0); /* no program */
    scratch_write("second/word", "x", 1, 0755);
    scratch_write("here", "x", 1, 0755);
    snprintf(list, sizeof list, "/nonexistent:%s:%s", scratch_path("first"),
             scratch_path("second"));
    setenv("PATH", list, 1);
    assert_true(exec_target_search("word", path, sizeof path));
    assert_string_equal(path, scratch_path("second/word"));
    assert_false(exec_target_search("word", small, sizeof small));
    assert_false(exec_target_search("here", path, sizeof path));
    assert_true(exec_target_search(scratch_path("here"), path, sizeof path));
    assert_string_equal(path, scratch_path("here"));
    assert_int_equal(chdir(scratch()), 0);
    setenv("PATH", "/nonexistent:", 1); /* the last is the working directory */
    assert_true(exec_target_search("here", path, sizeof path));
    assert_string_equal(path, "./here");
    unsetenv("PATH");
    assert_true(exec_target_search("sh", path, sizeof path));
    assert_int_equal(chdir("/"), 0);
}

static void is_ours_if_the_environment_says_so(void **state)
{
    char *const no_node[] = {(char *)preload, NULL};
    char *const another[] = {(char *)preload, (char *)ROLE_NODE_VARIABLE "=8:1f:2a:/dev/shm/x",
                             NULL};
    char *const no_preload[] = {(char *)node, NULL};
    char *const other_preload[] = {(char *)node, (char *)"LD_PRELOAD=/lib/other.so", NULL};
    char *const off[] = {(char *)node, (char *)preload, (char *)"FASTIMPORT=0", NULL};
    char *const on[] = {(char *)node, (char *)preload, (char *)"FASTIMPORT=1", NULL};

    (void)state;
    assert_true(exec_target_is_ours("/proc/self/exe", environment));
    assert_true(exec_target_is_ours("/proc/self/exe", on));
    assert_false(exec_target_is_ours("/proc/self/exe", NULL));
    assert_false(exec_target_is_ours("/proc/self/exe", no_node));
    assert_false(exec_target_is_ours("/proc/self/exe", another));
    assert_false(exec_target_is_ours("/proc/self/exe", no_preload));
    assert_false(exec_target_is_ours("/proc/self/exe", other_preload));
    assert_false(exec_target_is_ours("/proc/self/exe", off));
    unsetenv(ROLE_NODE_VARIABLE);
    assert_false(exec_target_is_ours("/proc/self/exe", environment));
}

static void is_ours_if_it_is_dynamic(void **state)
{
    ElfW(Ehdr) own = own_header();
    ElfW(Ehdr) foreign = own;
    ElfW(Ehdr) narrow = own;

    (void)state;
    foreign.e_machine = EM_SPARC;
    narrow.e_ident[EI_CLASS] = ELFCLASS32;
    assert_true(exec_target_is_ours(program("dynamic", &own, PT_INTERP), environment));
    assert_false(exec_target_is_ours(program("static", &own, PT_NOTE), environment));
    assert_true(exec_target_is_ours(program("ld-2.17.so", &own, PT_NOTE), environment));
    scratch_write("cut", &own, sizeof own, 0755); /* no program headers */
    assert_false(exec_target_is_ours(scratch_path("cut"), environment));
    /* these will not start */
    assert_true(exec_target_is_ours(program("foreign", &foreign, PT_NOTE), environment));
    assert_true(exec_target_is_ours(program("narrow", &narrow, PT_NOTE), environment));
    scratch_write("short", "\177ELF", 4, 0755);
    assert_true(exec_target_is_ours(scratch_path("short"), environment));
    scratch_text("shell", "exit 3\n"); /* execvp(3) starts /bin/sh */
    assert_true(exec_target_is_ours(scratch_path("shell"), environment));
    assert_true(exec_target_is_ours(scratch_path("absent"), environment)); /* not known */
}

static void is_ours_if_its_interpreter_is(void **state)
{
    ElfW(Ehdr) own = own_header();
    const char *name;

    (void)state;
    assert_true(exec_target_is_ours(a_script("good", "/bin/sh"), environment));
    assert_false(
        exec_target_is_ours(a_script("bad", program("static", &own, PT_NOTE)), environment));
    assert_false(exec_target_is_ours(a_script("worse", scratch_path("bad")), environment));
    name = a_script("loop", scratch_path("loop"));
    assert_true(exec_target_is_ours(name, environment)); /* exec will fail */
}

static void is_not_ours_with_other_rights(void **state)
{
    ElfW(Ehdr) own = own_header();
    const char *name = program("setuid", &own, PT_INTERP);

    (void)state;
    assert_int_equal(chmod(name, 04755), 0);
    assert_true(exec_target_is_ours(name, environment)); /* our own */
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chown(name, 65534, 0), 0);
    assert_int_equal(chmod(name, 04755), 0);
    assert_false(exec_target_is_ours(name, environment));
    assert_int_equal(chown(name, 0, 65534), 0);
    assert_int_equal(chmod(name, 02755), 0);
    assert_false(exec_target_is_ours(name, environment));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        successor_test(knows_what_can_be_started),
        successor_test(searches_as_execvp_does),
        successor_test(is_ours_if_the_environment_says_so),
        successor_test(is_ours_if_it_is_dynamic),
        successor_test(is_ours_if_its_interpreter_is),
        successor_test(is_not_ours_with_other_rights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
