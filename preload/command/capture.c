/* SPDX-License-Identifier: BSD-3-Clause */
/* capture.c - see capture.h */
#include "command/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double capture_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Reads until the other side has closed the pipe. False: the time is over. */
static bool drain(int fd, int seconds, char *out, size_t size)
{
    double end = capture_now() + seconds;
    char rest[4096];
    size_t n = 0;

    out[0] = '\0';
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        double left = end - capture_now();
        ssize_t got;

        if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) == 0) {
            return false;
        }
        got = read(fd, rest, sizeof rest);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
        if (got > 0) {
            size_t fits = (size_t)got < size - 1 - n ? (size_t)got : size - 1 - n;

            memcpy(out + n, rest, fits);
            n += fits;
            out[n] = '\0';
        }
    }
}

static void become_child(int to)
{
    int from = open("/dev/null", O_RDONLY);

    setpgid(0, 0);
    dup2(from, STDIN_FILENO);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    close(to);
}

int capture_call(int (*work)(void *argument), void *argument, int seconds, char *out, size_t size)
{
    int ends[2];
    int status = 0;
    bool whole;
    pid_t pid;

    out[0] = '\0';
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -2;
    }
    pid = fork();
    if (pid == 0) {
        become_child(ends[1]);
        status = work(argument);
        fflush(NULL);
        _exit(status);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -2;
    }
    setpgid(pid, pid); /* both sides do it, as either may be first */
    whole = drain(ends[0], seconds, out, size);
    close(ends[0]);
    if (!whole) {
        kill(-pid, SIGTERM); /* a launcher ends its ranks then */
        sleep(1);
        kill(-pid, SIGKILL);
    }
    waitpid(pid, &status, 0);
    if (!whole) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int capture_exec(void *words_)
{
    char **words = words_;

    execvp(words[0], words);
    printf("%s: %s\n", words[0], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}

int capture_program(char **words, int seconds, char *out, size_t size)
{
    return capture_call(capture_exec, words, seconds, out, size);
}
