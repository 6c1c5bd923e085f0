/*
 * keeper.c - fastimport-keeper PID FD: keeps a rank's slot at the launcher in order when the rank
 * has been replaced, by exec, by a program that fastimport cannot be in.
 *
 * The rank, process PID, has opened PMI, and a launcher takes a process that ends with PMI open for
 * a crashed one, and ends the job. Nobody but the new program knows whether it will use MPI, which
 * finalises PMI, or not. So this process holds the descriptor, too, waits until PID has ended, and
 * finalises PMI then, if nobody has. The launcher learns the exit status from PID itself.
 *
 * (A record lock, which the kernel releases when a process ends, tells nothing: before Linux 5.11
 * exec released those of a process with threads.)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mpi/pmi.h"

enum { LOOK_NS = 100000000 };

/* The launcher waits for the ends of the rank's pipes. */
static void close_all_but(int kept)
{
    DIR *all = opendir("/proc/self/fd");

    for (struct dirent *e; all != NULL && (e = readdir(all)) != NULL;) {
        int fd = e->d_name[0] == '.' ? kept : (int)strtol(e->d_name, NULL, 10);

        if (fd != kept && fd != dirfd(all)) {
            close(fd);
        }
    }
    if (all != NULL) {
        closedir(all);
    }
}

/* proc(5), /proc/PID/stat: behind the name, in parentheses, is the state; Z: nobody has waited for
 * it yet. */
static bool is_alive(long pid)
{
    char name[64];
    char text[512] = "";
    const char *state;
    int fd;

    snprintf(name, sizeof name, "/proc/%ld/stat", pid);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) {
        text[0] = '\0';
    }
    if (fd >= 0) {
        close(fd);
    }
    state = strrchr(text, ')');
    return state != NULL && state[1] == ' ' && strchr("ZXx", state[2]) == NULL;
}

/* Linux 5.3 tells; before, one has to look. */
static void await_end(long pid)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0), .events = POLLIN};
    struct timespec nap = {.tv_nsec = LOOK_NS};

    if (end.fd >= 0) {
        while (poll(&end, 1, -1) < 0 && errno == EINTR) {
        }
    } else {
        while (is_alive(pid)) {
            nanosleep(&nap, NULL);
        }
    }
}

static long number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    return *text == '\0' || *end != '\0' ? -1 : n;
}

int main(int argc, char **argv)
{
    long pid = argc == 3 ? number(argv[1]) : -1;
    long fd = argc == 3 ? number(argv[2]) : -1;

    if (pid <= 0 || fd < 0 || fcntl((int)fd, F_GETFD) < 0) {
        fprintf(stderr, "usage: fastimport-keeper PID FD (libfastimport.so starts it)\n");
        return 2;
    }
    setsid();
    close_all_but((int)fd);
    await_end(pid);
    pmi_finalize((int)fd);
    return 0;
}
