/* SPDX-License-Identifier: BSD-3-Clause */
/* scratch.c - see scratch.h */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dirtree.h"
#include "faults.h"

static char directory[64];
static int saved_stderr = -1;
static FILE *captured;

int scratch_setup(void **state)
{
    (void)state;
    strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/unit-XXXXXX" : "/tmp/unit-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

int scratch_setup_outside_dev(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/unit-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

int scratch_teardown(void **state)
{
    (void)state;
    fault_clear();
    if (captured != NULL) { /* the test has failed in between: its own words matter now */
        print_message("%s", capture_end());
    }
    return dirtree_remove(AT_FDCWD, directory);
}

const char *scratch(void)
{
    return directory;
}

const char *scratch_path(const char *name)
{
    static char paths[16][4200];
    static unsigned next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

void scratch_write(const char *name, const void *bytes, size_t size, mode_t mode)
{
    int fd = open(scratch_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text), 0644);
}

char *scratch_read(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    bytes = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *size = (size_t)st.st_size;
    return bytes;
}

bool scratch_has(const char *name)
{
    return access(scratch_path(name), F_OK) == 0;
}

int scratch_count(const char *name)
{
    DIR *dir = opendir(scratch_path(name));
    int n = 0;

    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    closedir(dir);
    return n;
}

void capture_begin(void)
{
    captured = tmpfile();
    assert_non_null(captured);
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

const char *capture_end(void)
{
    static char text[65536];
    size_t n;

    fflush(stderr);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    rewind(captured);
    n = fread(text, 1, sizeof text - 1, captured);
    text[n] = '\0';
    fclose(captured);
    captured = NULL;
    return text;
}

static int in_small_tmpfs(void *argument)
{
    struct small_tmpfs *small = argument;
    char options[64];

    snprintf(options, sizeof options, "mode=700,size=%zu", small->size);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("unit", directory, "tmpfs", small->noexec ? MS_NOEXEC : 0, options) != 0) {
        return 77;
    }
    return small->body(small->argument);
}

int on_small_tmpfs(struct small_tmpfs small)
{
    int status = in_child(in_small_tmpfs, &small);

    if (status == 77) {
        print_message("this needs the right to mount\n");
        skip();
    }
    return status;
}

int occurrences(const char *text, const char *needle)
{
    int n = 0;

    for (; (text = strstr(text, needle)) != NULL; text++) {
        n++;
    }
    return n;
}

/* With coverage the counters are written by hand, since the child leaves without exit handlers. */
void __gcov_dump(void) __attribute__((weak));

int in_child(int (*body)(void *), void *argument)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        status = body(argument);
        fflush(NULL);
        if (__gcov_dump != NULL) {
            __gcov_dump();
        }
        _exit(status);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
