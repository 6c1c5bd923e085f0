/* SPDX-License-Identifier: BSD-3-Clause */
/* open, openat, their 64-bit names and the names that _FORTIFY_SOURCE=2 makes of them. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Without a mode and with flags that the compiler cannot know, the headers turn each of these into
 * its checked form (__open_2, ...): see fortified.c, which is this table compiled with
 * fortification. */
typedef int opener(int dirfd, const char *path, int flags);

opener fortified_open, fortified_open64, fortified_openat, fortified_openat64;

static int plain_open(int dirfd, const char *path, int flags)
{
    (void)dirfd;
    return open(path, flags, 0);
}

static int plain_open64(int dirfd, const char *path, int flags)
{
    (void)dirfd;
    return open64(path, flags, 0);
}

static int plain_openat(int dirfd, const char *path, int flags)
{
    return openat(dirfd, path, flags, 0);
}

static int plain_openat64(int dirfd, const char *path, int flags)
{
    return openat64(dirfd, path, flags, 0);
}

static const struct {
    const char *name;
    opener *call;
} openers[] = {
    {"open", plain_open},
    {"open64", plain_open64},
    {"openat", plain_openat},
    {"openat64", plain_openat64},
    {"__open_2", fortified_open},
    {"__open64_2", fortified_open64},
    {"__openat_2", fortified_openat},
    {"__openat64_2", fortified_openat64},
};

static const int flag_sets[] = {
    O_RDONLY | O_NONBLOCK,
    O_RDONLY | O_NONBLOCK | O_CLOEXEC,
    O_RDONLY | O_NONBLOCK | O_DIRECTORY,
    O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
    O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_NOFOLLOW,
    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_APPEND,
    O_PATH,
    O_PATH | O_NOFOLLOW,
    O_PATH | O_DIRECTORY,
    O_RDONLY | O_NONBLOCK | O_EXCL,
    O_RDONLY | O_NONBLOCK | 0x40000000, /* no flag of any kernel */
    O_ACCMODE | O_NONBLOCK,             /* the access mode that is none; for ioctl only */
};

static void open_examine(int fd)
{
    struct stat st;
    tr_ret(TRY(fcntl(fd, F_GETFL)), "    F_GETFL");
    tr_ret(TRY(fcntl(fd, F_GETFD)), "    F_GETFD");
    int r = TRY(fstat(fd, &st));
    tr_ret(r, "    fstat");
    if (r == 0) {
        tr_stat(&st);
    }
    tr_ret(TRY(lseek(fd, 0, SEEK_CUR)), "    lseek");
    if (r == 0 && S_ISREG(st.st_mode)) {
        family_read_all(fd);
    }
    tr_ret(TRY(close(fd)), "    close");
    tr_closed(fd);
}

static void open_open_all(int dirfd, const char *path)
{
    for (size_t o = 0; o < sizeof openers / sizeof *openers; o++) {
        for (size_t i = 0; i < sizeof flag_sets / sizeof *flag_sets; i++) {
            int fd = TRY(openers[o].call(dirfd, path, flag_sets[i]));
            tr_fd(fd, "%s(%s, %x)", openers[o].name, tr_q(path), flag_sets[i]);
            if (fd >= 0) {
                open_examine(fd);
            }
        }
    }
}

void family_run(const struct family *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        open_open_all(f->dirfd, f->paths[i]);
        open_open_all(AT_FDCWD, family_abs(f, f->paths[i]));
    }
    tr_fd(TRY(openat(9999, "pkg", O_RDONLY)), "openat 9999");
    tr_fd(TRY(openat(-1, "pkg", O_RDONLY)), "openat -1");
}
