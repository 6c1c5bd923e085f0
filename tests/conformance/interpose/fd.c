/* SPDX-License-Identifier: BSD-3-Clause */
/* What programs do with a descriptor once they have it: dup, fcntl, seek, read at offsets, map,
 * hand to a child, use as a stream. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void show_stat(int fd, const char *what)
{
    struct stat st;
    int r = TRY(fstat(fd, &st));
    tr_ret(r, "    fstat %s", what);
    if (r == 0) {
        tr_stat(&st);
    }
}

static void duplicates(int fd)
{
    int copies[] = {dup(fd), fcntl(fd, F_DUPFD, 100), fcntl(fd, F_DUPFD_CLOEXEC, 100),
                    dup2(fd, 200), dup3(fd, 201, O_CLOEXEC)};
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        char b[3] = "";
        show_stat(copies[i], "of a copy");
        tr_ret(TRY(fcntl(copies[i], F_GETFD)), "    F_GETFD");
        tr_ret(TRY(read(copies[i], b, 3)), "    read 3 of the shared offset");
        tr_bytes("copy", b, 3);
        tr_ret(TRY(lseek(fd, 0, SEEK_CUR)), "    offset of the first");
        tr_ret(TRY(close(copies[i])), "    close");
    }
    show_stat(fd, "of the first");
}

/* dup2 over a descriptor of a served file, then a foreign file under that number, and back. */
static void number_reuse(int fd)
{
    int other = open("/dev/null", O_RDONLY);
    int held = dup(fd);
    tr_fd(TRY(dup2(other, held)), "    dup2 of /dev/null over a copy");
    struct stat st;
    if (fstat(held, &st) == 0) {
        tr_line("    now %o rdev %lx", st.st_mode, (unsigned long)st.st_rdev);
    }
    tr_fd(TRY(dup2(fd, held)), "    dup2 back");
    show_stat(held, "of it");
    close(held);
    close(other);
}

static void offsets(int fd)
{
    char b[16] = "";
    static const struct {
        off_t off;
        int whence;
    } seeks[] = {{0, SEEK_END},  {-5, SEEK_END}, {3, SEEK_CUR},  {1 << 20, SEEK_SET},
                 {-1, SEEK_SET}, {0, SEEK_DATA}, {0, SEEK_HOLE}, {0, 77}};
    for (size_t i = 0; i < sizeof seeks / sizeof *seeks; i++) {
        tr_ret(TRY(lseek(fd, seeks[i].off, seeks[i].whence)), "    lseek %ld %d",
               (long)seeks[i].off, seeks[i].whence);
    }
    tr_ret(TRY(pread(fd, b, 8, 4)), "    pread 8 at 4");
    tr_bytes("pread", b, 8);
    struct iovec iov[] = {{b, 4}, {b + 8, 4}};
    tr_ret(TRY(preadv(fd, iov, 2, 1)), "    preadv");
    tr_bytes("preadv", b, sizeof b);
    lseek(fd, 2, SEEK_SET);
    tr_ret(TRY(readv(fd, iov, 2)), "    readv");
}

static void not_for_writing(int fd)
{
    tr_ret(TRY(write(fd, "x", 1)), "    write");
    tr_ret(TRY(pwrite(fd, "x", 1, 0)), "    pwrite");
    tr_ret(TRY(ftruncate(fd, 0)), "    ftruncate");
    tr_ret(TRY(fallocate(fd, 0, 0, 10)), "    fallocate");
    tr_ret(TRY(fcntl(fd, F_SETFL, O_NONBLOCK)), "    F_SETFL");
    tr_ret(TRY(fcntl(fd, F_GETFL)), "    F_GETFL");
    tr_ret(TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED)), "    posix_fadvise");
    int n = -1;
    tr_ret(TRY(ioctl(fd, FIONREAD, &n)), "    FIONREAD");
    tr_line("    -> %d", n);
}

static void mapped(int fd)
{
    struct stat st;
    static const struct {
        int prot, flags;
    } maps[] = {{PROT_READ, MAP_PRIVATE},
                {PROT_READ, MAP_SHARED},
                {PROT_READ | PROT_WRITE, MAP_PRIVATE},
                {PROT_READ | PROT_WRITE, MAP_SHARED},
                {PROT_READ | PROT_EXEC, MAP_PRIVATE}};
    if (fstat(fd, &st) != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        void *p = TRY(mmap(NULL, (size_t)st.st_size, maps[i].prot, maps[i].flags, fd, 0));
        tr_line("    mmap %d %d %s", maps[i].prot, maps[i].flags,
                p == MAP_FAILED ? tr_errno(errno) : "ok");
        if (p == MAP_FAILED) {
            continue;
        }
        tr_bytes("mapping", p, (size_t)st.st_size);
        munmap(p, (size_t)st.st_size);
    }
}

static void piped(int fd)
{
    char b[64];
    int p[2];
    off_t at = 1;
    if (pipe(p) != 0) {
        return;
    }
    ssize_t n = TRY(sendfile(p[1], fd, &at, 20));
    tr_ret(n, "    sendfile");
    close(p[1]);
    n = read(p[0], b, sizeof b);
    tr_bytes("sent", b, n < 0 ? 0 : (size_t)n);
    close(p[0]);
}

static void as_stream(int fd)
{
    char b[16];
    FILE *s = TRY(fdopen(dup(fd), "r"));
    tr_ptr(s, "    fdopen");
    if (!s) {
        return;
    }
    rewind(s);
    tr_bytes("fread", b, fread(b, 1, sizeof b, s));
    fclose(s);
}

/* The child uses its parent's descriptor, and opens and stats on its own. The parent waits, so that
 * the lines keep their order; the offset that the child moved is the parent's too. */
static void forked(int fd, const char *path)
{
    char b[4] = "";
    lseek(fd, 0, SEEK_SET);
    pid_t child = fork();
    if (child == 0) {
        struct stat st;
        tr_ret(TRY(read(fd, b, 4)), "    child: read");
        show_stat(fd, "in the child");
        tr_ret(TRY(stat(path, &st)), "    child: stat");
        tr_stat(&st);
        int own = open(path, O_RDONLY);
        family_read_all(own);
        _exit(7);
    }
    int status = -1;
    if (child > 0) {
        waitpid(child, &status, 0);
    }
    tr_line("    child ended with %x", status);
    tr_ret(TRY(lseek(fd, 0, SEEK_CUR)), "    the parent's offset");
}

static void fd_use(const char *path)
{
    int fd = TRY(open(path, O_RDONLY | O_CLOEXEC));
    tr_fd(fd, "open(%s)", tr_q(path));
    if (fd < 0) {
        return;
    }
    duplicates(fd);
    number_reuse(fd);
    offsets(fd);
    mapped(fd);
    piped(fd);
    as_stream(fd);
    forked(fd, path);
    not_for_writing(fd);
    close(fd);
    tr_ret(TRY(read(fd, NULL, 0)), "    read once closed");
}

/* Descriptors that outlive the file's name and a change of directory. */
static void across_chdir(const struct family *f)
{
    int fd = open("pkg/mod.py", O_RDONLY);
    struct stat st;
    if (fd < 0 || chdir("pkg/sub") != 0) {
        return;
    }
    show_stat(fd, "after chdir");
    tr_ret(TRY(stat("../mod.py", &st)), "    stat ../mod.py");
    tr_stat(&st);
    tr_ret(TRY(access("pkg/mod.py", F_OK)), "    access pkg/mod.py");
    close(fd);
    if (chdir(f->tree) != 0) {
        abort();
    }
}

/* 300 descriptors at once: each is its own file with its own offset. */
static void many(const struct family *f)
{
    int fds[300];
    char b[8] = "", name[64];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "big/f%04d", i * 7);
        fds[i] = open(family_abs(f, name), O_RDONLY);
    }
    for (int i = 0; i < 300; i++) {
        struct stat st = {0};
        ssize_t n = read(fds[i], b, sizeof b);
        fstat(fds[i], &st);
        tr_bytes("one of many", b, n < 0 ? 0 : (size_t)n);
        tr_stat(&st);
        close(fds[i]);
    }
}

void family_run(const struct family *f)
{
    fd_use("pkg/mod.py");
    fd_use("pkg/data.bin");
    fd_use(family_abs(f, "link-good"));
    fd_use("hard2");
    fd_use("empty");
    across_chdir(f);
    many(f);
}
