/* SPDX-License-Identifier: BSD-3-Clause */
/* file.c - see file.h */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"

enum { SLOW_READER_NS = 1000000000, NAP_NS = 1000000, NAMES = 8 };

/* --- classification of names --- */

/* If the kernel resolves this name to an open descriptor of this process: the descriptor; else -1.
 * A rename onto such a name (/dev/stdout) would break it for all processes. */
static int file_named_descriptor(const char *name)
{
    static const char *const prefixes[] = {"/dev/fd/", "/proc/self/fd/"};
    char *end;

    if (strcmp(name, "/dev/stdout") == 0 || strcmp(name, "/dev/stderr") == 0) {
        return name[8] == 'o' ? STDOUT_FILENO : STDERR_FILENO;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);

        if (strncmp(name, prefixes[i], n) == 0 && name[n] >= '0' && name[n] <= '9') {
            long fd = strtol(name + n, &end, 10);

            return *end == '\0' && fd <= 1 << 20 ? (int)fd : -1;
        }
    }
    return -1;
}

static bool file_is_trusted(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static bool takes_a_stream(mode_t mode)
{
    return S_ISCHR(mode) || S_ISFIFO(mode);
}

enum kind { REPLACEABLE, STREAM, NEITHER };

/* How to write to the file of this name. A symlink that somebody else owns is not followed, and a
 * FIFO that somebody else owns is not written to: both are replaced if the directory permits it. */
static enum kind file_kind_of(const char *name)
{
    struct stat st;
    bool is_link;

    if (sys_lstat(name, &st) != 0) {
        return REPLACEABLE;
    }
    is_link = S_ISLNK(st.st_mode);
    if (is_link && (!file_is_trusted(&st) || sys_stat(name, &st) != 0)) {
        return REPLACEABLE;
    }
    if (S_ISREG(st.st_mode) || (S_ISFIFO(st.st_mode) && !file_is_trusted(&st))) {
        return REPLACEABLE;
    }
    if (S_ISDIR(st.st_mode)) {
        return is_link ? REPLACEABLE : NEITHER;
    }
    return takes_a_stream(st.st_mode) ? STREAM : NEITHER;
}

/* --- writing --- */

/* Creates a temporary file in the directory of `name`. With O_EXCL and O_NOFOLLOW the call fails if
 * anything, also a symlink, has this name. */
static int file_create_beside(const char *name, mode_t mode, char temporary[FI_PATH_MAX])
{
    size_t length = strlen(name);
    size_t directory = (size_t)(path_name(name, length) - name);
    int fd = -EEXIST;

    for (int i = 0; i < NAMES && fd == -EEXIST; i++) {
        int n = snprintf(temporary, FI_PATH_MAX, "%.*s.fastimport-%016" PRIx64, (int)directory,
                         name, sys_random());

        if (n < 0 || n >= FI_PATH_MAX) {
            return -ENAMETOOLONG;
        }
        fd = sys_open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    }
    return fd;
}

/* A FIFO whose reader has stopped gives EAGAIN: retry for one second. */
static int file_write_all(int fd, const char *bytes, size_t size)
{
    int64_t give_up = sys_now_ns() + SLOW_READER_NS;
    size_t done = 0;

    while (done < size) {
        ssize_t n = sys_write(fd, bytes + done, size - done);

        if (n == -EAGAIN && sys_now_ns() < give_up) {
            sys_nap_ns(NAP_NS);
        } else if (n == 0 || (n < 0 && n != -EINTR)) {
            return n == 0 ? -EIO : (int)n;
        } else {
            done += n > 0 ? (size_t)n : 0;
        }
    }
    return 0;
}

/* Writes to a FIFO whose reader may have gone. SIGPIPE is blocked, and removed if our write has
 * raised it: the program must see an error of ours neither as a signal nor as a pending one. */
static int file_write_stream(int fd, const void *bytes, size_t size)
{
    const struct timespec at_once = {0, 0};
    sigset_t sigpipe, before, pending;
    int error;

    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    error = file_write_all(fd, bytes, size);
    if (error == -EPIPE && sigismember(&pending, SIGPIPE) == 0) {
        sigtimedwait(&sigpipe, NULL, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static int file_write_and_rename(const char *name, const void *bytes, size_t size, mode_t mode)
{
    char temporary[FI_PATH_MAX];
    int fd = file_create_beside(name, mode, temporary);
    int error;

    if (fd < 0) {
        return fd;
    }
    error = file_write_all(fd, bytes, size);
    sys_close(fd);
    if (error == 0) {
        error = sys_rename(temporary, name);
    }
    if (error != 0) {
        sys_unlink(temporary);
    }
    return error;
}

int file_replace(const char *name, const void *bytes, size_t size, mode_t mode)
{
    if (file_named_descriptor(name) >= 0 || file_kind_of(name) != REPLACEABLE) {
        return -EINVAL;
    }
    return file_write_and_rename(name, bytes, size, mode);
}

static int file_put_stream(const char *name, const void *bytes, size_t size)
{
    int fd = sys_open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    struct stat st;
    int error = fd < 0 ? fd : sys_fstat(fd, &st);

    if (error == 0) {
        error = takes_a_stream(st.st_mode) ? file_write_stream(fd, bytes, size) : -EINVAL;
    }
    if (fd >= 0) {
        sys_close(fd);
    }
    return error;
}

int file_put(const char *name, const void *bytes, size_t size, mode_t mode)
{
    int fd = file_named_descriptor(name);

    if (fd >= 0) {
        return file_write_stream(fd, bytes, size);
    }
    switch (file_kind_of(name)) {
    case REPLACEABLE:
        return file_write_and_rename(name, bytes, size, mode);
    case STREAM:
        return file_put_stream(name, bytes, size);
    default:
        return -EINVAL;
    }
}

/* --- appending --- */

/* O_NONBLOCK: opening a FIFO without a reader is an error, and a FIFO whose reader has stopped
 * loses lines instead of blocking us. If somebody swaps the link between lstat() and open(),
 * fs.protected_symlinks (proc(5)) refuses it. */
int file_open_to_append(const char *name, mode_t mode)
{
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int known = file_named_descriptor(name);
    struct stat st;
    int fd;

    if (known >= 0) {
        return sys_fcntl(known, F_DUPFD_CLOEXEC, 3);
    }
    fd = sys_open(name, flags | O_NOFOLLOW, mode);
    if (fd == -ELOOP && sys_lstat(name, &st) == 0 && file_is_trusted(&st)) {
        fd = sys_open(name, flags, mode);
    }
    return fd;
}

/* --- directories --- */

int file_make_directory(const char *name, mode_t mode)
{
    char path[FI_PATH_MAX];
    size_t length = strlen(name);
    int error = 0;

    if (length == 0 || length >= sizeof path) {
        return length == 0 ? -ENOENT : -ENAMETOOLONG;
    }
    for (size_t i = 1; i <= length; i++) {
        if (name[i] == '/' || name[i] == '\0') {
            memcpy(path, name, i);
            path[i] = '\0';
            error = sys_mkdir(path, mode);
        }
    }
    return error == -EEXIST ? 0 : error;
}
