/* SPDX-License-Identifier: BSD-3-Clause */
/* sys.c - see sys.h */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/dilation.h"

/* syscall(2) reports errors in errno. Callers expect the kernel's convention and an untouched
 * errno. */
static long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long r = syscall(number, a, b, c, d, e, f);

    if (r == -1) {
        r = -errno;
    }
    errno = saved;
    return r;
}

#define CALL1(n, a)          sys_call(n, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(n, a, b)       sys_call(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(n, a, b, c)    sys_call(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(n, a, b, c, d) sys_call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL5(n, a, b, c, d, e)                                                                    \
    sys_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

int sys_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    return (int)CALL4(SYS_openat, dirfd, path, flags, mode);
}

int sys_open(const char *path, int flags, mode_t mode)
{
    return sys_openat(AT_FDCWD, path, flags, mode);
}

int sys_close(int fd)
{
    return (int)CALL1(SYS_close, fd);
}

int sys_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
    return (int)CALL4(SYS_newfstatat, dirfd, path, st, flags);
}

int sys_stat(const char *path, struct stat *st)
{
    return sys_fstatat(AT_FDCWD, path, st, 0);
}

int sys_lstat(const char *path, struct stat *st)
{
    return sys_fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int sys_fstat(int fd, struct stat *st)
{
    return sys_fstatat(fd, "", st, AT_EMPTY_PATH); /* as libc does: some seccomp filters allow only
                                                    * this */
}

int sys_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
    return (int)CALL5(SYS_statx, dirfd, path, flags, mask, stx);
}

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

int sys_access(const char *path, int mode, bool effective)
{
    if (effective) {
        return (int)CALL4(SYS_faccessat2, AT_FDCWD, path, mode, AT_EACCESS);
    }
#ifdef SYS_access
    return (int)CALL2(SYS_access, path, mode);
#else
    return (int)CALL3(SYS_faccessat, AT_FDCWD, path, mode);
#endif
}

int sys_chdir(const char *path)
{
    return (int)CALL1(SYS_chdir, path);
}

ssize_t sys_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
    return CALL4(SYS_readlinkat, dirfd, path, buf, size);
}

ssize_t sys_readlink(const char *path, char *buf, size_t size)
{
#ifdef SYS_readlink
    return CALL3(SYS_readlink, path, buf, size); /* as libc does: some seccomp filters allow only
                                                  * this */
#else
    return sys_readlinkat(AT_FDCWD, path, buf, size);
#endif
}

size_t sys_program(char *buf, size_t size)
{
    ssize_t n = sys_readlink("/proc/self/exe", buf, size - 1);

    buf[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

ssize_t sys_getcwd(char *buf, size_t size)
{
    return CALL2(SYS_getcwd, buf, size);
}

int sys_canonical(const char *path, char *buf, size_t size)
{
    char link[64];
    int fd = sys_open(path, O_PATH | O_CLOEXEC, 0);
    ssize_t n;

    if (fd < 0) {
        return fd;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = sys_readlink(link, buf, size - 1);
    sys_close(fd);
    buf[n > 0 ? n : 0] = '\0';
    if (n < 0) {
        return (int)n;
    }
    return buf[0] == '/' ? 0 : -ENOENT;
}

ssize_t sys_getdents64(int fd, void *buf, size_t size)
{
    return CALL3(SYS_getdents64, fd, buf, size);
}

ssize_t sys_pread(int fd, void *buf, size_t size, off_t offset)
{
    return CALL4(SYS_pread64, fd, buf, size, offset);
}

ssize_t sys_pwrite(int fd, const void *buf, size_t size, off_t offset)
{
    return CALL4(SYS_pwrite64, fd, buf, size, offset);
}

ssize_t sys_write(int fd, const void *buf, size_t size)
{
    return CALL3(SYS_write, fd, buf, size);
}

int sys_mkdir(const char *path, mode_t mode)
{
    return (int)CALL3(SYS_mkdirat, AT_FDCWD, path, mode);
}

int sys_unlinkat(int dirfd, const char *path, int flags)
{
    return (int)CALL3(SYS_unlinkat, dirfd, path, flags);
}

int sys_unlink(const char *path)
{
    return sys_unlinkat(AT_FDCWD, path, 0);
}

int sys_rename(const char *from, const char *to)
{
    return (int)CALL5(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int sys_link(const char *from, const char *to)
{
    return (int)CALL5(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int sys_symlink(const char *target, const char *path)
{
    return (int)CALL3(SYS_symlinkat, target, AT_FDCWD, path);
}

int sys_chmod(const char *path, mode_t mode)
{
    return (int)CALL3(SYS_fchmodat, AT_FDCWD, path, mode);
}

int sys_fchmod(int fd, mode_t mode)
{
    return (int)CALL2(SYS_fchmod, fd, mode);
}

int sys_futimens(int fd, const struct timespec times[2])
{
    return (int)CALL4(SYS_utimensat, fd, NULL, times, 0);
}

int sys_ftruncate(int fd, off_t size)
{
    return (int)CALL2(SYS_ftruncate, fd, size);
}

int sys_fallocate(int fd, off_t offset, off_t size)
{
    return (int)CALL4(SYS_fallocate, fd, 0, offset, size);
}

int sys_fcntl(int fd, int command, long argument)
{
    return (int)CALL3(SYS_fcntl, fd, command, argument);
}

int sys_memory_file(const char *name)
{
    return (int)CALL2(SYS_memfd_create, name, MFD_CLOEXEC);
}

int sys_duplicate_high(int fd)
{
    static const int floors[] = {900, 200, 3};
    int high = -EBADF;

    for (size_t i = 0; fd >= 0 && high < 0 && i < sizeof floors / sizeof *floors; i++) {
        high = sys_fcntl(fd, F_DUPFD_CLOEXEC, floors[i]);
    }
    return high;
}

int sys_move_high(int fd)
{
    int high = sys_duplicate_high(fd);

    if (high < 0) {
        return fd;
    }
    sys_close(fd);
    return high;
}

void sys_prepare_high(void)
{
    int fd = sys_move_high(sys_open("/", O_PATH | O_CLOEXEC, 0));

    if (fd >= 0) {
        sys_close(fd);
    }
}

int sys_dup3(int fd, int to, int flags)
{
    return (int)CALL3(SYS_dup3, fd, to, flags);
}

int sys_compare_files(int a, int b)
{
    pid_t self = sys_getpid();

    return (int)CALL5(SYS_kcmp, self, self, KCMP_FILE, a, b);
}

off_t sys_lseek(int fd, off_t offset, int whence)
{
    return CALL3(SYS_lseek, fd, offset, whence);
}

int sys_flock(int fd, int operation)
{
    return (int)CALL2(SYS_flock, fd, operation);
}

int sys_fstatfs(int fd, struct statfs *sf)
{
    return (int)CALL2(SYS_fstatfs, fd, sf);
}

ssize_t sys_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    return CALL4(SYS_fgetxattr, fd, name, value, size);
}

void *sys_mmap(size_t size, int prot, int flags, int fd, off_t offset)
{
    int saved = errno;
    void *at = mmap(NULL, size, prot, flags, fd, offset);

    errno = saved;
    return at == MAP_FAILED ? NULL : at;
}

void sys_munmap(void *at, size_t size)
{
    (void)CALL2(SYS_munmap, at, size);
}

int sys_move_pages(void *from, size_t size, void *to)
{
    long at = CALL5(SYS_mremap, from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);

    return at < 0 && at >= -4095 ? (int)at : 0;
}

int sys_mprotect(void *at, size_t size, int prot)
{
    return (int)CALL3(SYS_mprotect, at, size, prot);
}

int sys_fadvise(int fd, off_t offset, off_t size, int advice)
{
    return (int)CALL4(SYS_fadvise64, fd, offset, size, advice);
}

static struct timespec sys_timespec(int64_t ns)
{
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

int sys_futex_wait(const void *word, uint32_t expected, int64_t timeout_ns)
{
    struct timespec ts = sys_timespec(dilation_real(timeout_ns));
    int rc;

    dilation_before_wait();
    rc = (int)CALL4(SYS_futex, word, FUTEX_WAIT, expected, &ts);
    dilation_after_wait();
    return rc;
}

void sys_futex_wake(const void *word, int how_many)
{
    (void)CALL3(SYS_futex, word, FUTEX_WAKE, how_many);
}

void sys_nap_ns(int64_t ns)
{
    struct timespec ts = sys_timespec(dilation_real(ns));

    dilation_before_wait();
    (void)CALL4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
    dilation_after_wait();
}

int64_t sys_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return dilation_ours((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

uint64_t sys_random(void)
{
    uint64_t value;

    if (CALL3(SYS_getrandom, &value, sizeof value, 0) != sizeof value) { /* getrandom(2) came with
                                                                          * Linux 3.17 */
        value = (uint64_t)sys_now_ns() * 0x9e3779b97f4a7c15 ^ (uint64_t)sys_getpid() << 32;
    }
    return value;
}

pid_t sys_getpid(void)
{
    return (pid_t)CALL1(SYS_getpid, 0);
}

pid_t sys_gettid(void)
{
    return (pid_t)CALL1(SYS_gettid, 0);
}

bool sys_is_pid(pid_t pid)
{
    char self[16];
    char text[16];
    ssize_t n = sys_readlink("/proc/self", self, sizeof self);

    if (n <= 0) {
        return sys_getpid() == pid;
    }
    return snprintf(text, sizeof text, "%d", (int)pid) == n && memcmp(text, self, (size_t)n) == 0;
}

bool sys_exists(pid_t pid)
{
    char name[32];
    struct stat st;

    snprintf(name, sizeof name, "/proc/%d", (int)pid);
    return sys_stat("/proc/self", &st) != 0 || sys_stat(name, &st) != -ENOENT;
}

static int sys_status_field(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at == NULL ? -1 : (int)strtol(at + strlen(name), NULL, 10);
}

int sys_filters(void)
{
    char text[4096];
    int n;

    if (sys_read_file("/proc/thread-self/status", text, sizeof text) <= 0) {
        return 0;
    }
    n = sys_status_field(text, "\nSeccomp_filters:");
    return n >= 0 ? n : sys_status_field(text, "\nSeccomp:") > 0;
}

int sys_own_directories(void)
{
    return (int)CALL1(SYS_unshare, CLONE_FS);
}

uint64_t sys_pid_namespace(void)
{
    struct stat st;

    return sys_stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

ssize_t sys_pread_all(int fd, void *buf, size_t size, off_t offset)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = sys_pread(fd, (char *)buf + done, size - done, offset + (off_t)done);

        if (n == -EINTR) {
            continue;
        }
        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int sys_pwrite_all(int fd, const void *buf, size_t size, off_t offset)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = sys_pwrite(fd, (const char *)buf + done, size - done, offset + (off_t)done);

        if (n == -EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? (int)n : -EIO;
        }
        done += (size_t)n;
    }
    return 0;
}

ssize_t sys_read_file(const char *path, char *buf, size_t size)
{
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0); /* it may be a FIFO */
    size_t length = 0;
    ssize_t n = 0;

    if (fd < 0) {
        return fd;
    }
    /* read(2), not pread(2): files of /proc may not be seekable */
    while (length + 1 < size && (n = CALL3(SYS_read, fd, buf + length, size - 1 - length)) > 0) {
        length += (size_t)n;
    }
    sys_close(fd);
    buf[length] = '\0';
    return n < 0 ? n : (ssize_t)length;
}
