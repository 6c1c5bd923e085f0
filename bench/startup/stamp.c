/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stamp.c - notes the moment at which the startup of a rank begins:
 *
 *     stamp [NAME=VALUE...] [--] PROGRAM [ARGUMENTS]
 *
 * stamp sets the variables, writes the time to STARTUP_EXEC_NS (nanoseconds of CLOCK_REALTIME) and
 * executes PROGRAM. It is linked statically, so that it reads nothing from the shared file system
 * and runs no preloaded library.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int stamp_fail(const char *what, const char *name)
{
    fprintf(stderr, "stamp: %s %s: %s\n", what, name, strerror(errno));
    return errno == ENOENT ? 127 : 126;
}

static int note_time(void)
{
    struct timespec now;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof text, "%lld", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    return setenv("STARTUP_EXEC_NS", text, 1);
}

int main(int argc, char **argv)
{
    int i = 1;

    for (; i < argc && strchr(argv[i], '=') != NULL; i++) {
        if (putenv(argv[i]) != 0) {
            return stamp_fail("cannot set", argv[i]);
        }
    }
    if (i < argc && strcmp(argv[i], "--") == 0) {
        i++;
    }
    if (i >= argc) {
        fprintf(stderr, "usage: stamp [NAME=VALUE...] [--] PROGRAM [ARGUMENTS]\n");
        return 2;
    }
    if (note_time() != 0) {
        return stamp_fail("cannot set", "STARTUP_EXEC_NS");
    }
    execvp(argv[i], argv + i);
    return stamp_fail("cannot run", argv[i]);
}
