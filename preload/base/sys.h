/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sys.h - system calls that bypass the wrappers of this library.
 *
 * The library exports open(), stat() and their families, so its own code must not call them by
 * these names. All of fastimport's access to the operating system goes through this file: raw
 * system calls, which leave errno alone, are no cancellation points and allocate nothing.
 *
 * Results are the kernel's: >= 0, or -errno (intro(2), syscall(2)); a comment says where it is
 * otherwise. Times are nanoseconds.
 *
 * Thread rules: safe from any thread and in signal handlers.
 */
#ifndef FASTIMPORT_BASE_SYS_H
#define FASTIMPORT_BASE_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

/* Could this be a valid pointer? The first page is never mapped, so NULL and small numbers are not.
 * Wrappers leave them to the kernel, which fails with EFAULT, instead of reading through them. */
static inline bool could_be_pointer(const void *p)
{
    return (uintptr_t)p >= 4096;
}

int sys_openat(int dirfd, const char *path, int flags, mode_t mode);
int sys_open(const char *path, int flags, mode_t mode);
int sys_close(int fd);
int sys_stat(const char *path, struct stat *st);
int sys_lstat(const char *path, struct stat *st);
int sys_fstat(int fd, struct stat *st);
int sys_fstatat(int dirfd, const char *path, struct stat *st, int flags);
int sys_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *stx);
int sys_access(const char *path, int mode, bool effective);
ssize_t sys_readlink(const char *path, char *buf, size_t size); /* not NUL-terminated */
ssize_t sys_readlinkat(int dirfd, const char *path, char *buf, size_t size); /* not
                                                                              * NUL-terminated */
/* The path of this process's executable, NUL-terminated. Returns its length; 0 and "" if it is not
 * known. */
size_t sys_program(char *buf, size_t size);
int sys_chdir(const char *path);
ssize_t sys_getcwd(char *buf, size_t size); /* returns the length including the NUL */
/* Resolves all symlinks of `path` and NUL-terminates the result. Returns 0 or -errno. It opens with
 * O_PATH, so that a FIFO or a device does not block it. */
int sys_canonical(const char *path, char *buf, size_t size);
ssize_t sys_getdents64(int fd, void *buf, size_t size);
ssize_t sys_pread(int fd, void *buf, size_t size, off_t offset);
ssize_t sys_pwrite(int fd, const void *buf, size_t size, off_t offset);
ssize_t sys_write(int fd, const void *buf, size_t size);
int sys_mkdir(const char *path, mode_t mode);
int sys_unlinkat(int dirfd, const char *path, int flags);
int sys_unlink(const char *path);
int sys_rename(const char *from, const char *to);
int sys_link(const char *from, const char *to);
int sys_symlink(const char *target, const char *path);
int sys_chmod(const char *path, mode_t mode);
int sys_fchmod(int fd, mode_t mode);
int sys_futimens(int fd, const struct timespec times[2]);
int sys_ftruncate(int fd, off_t size);
int sys_fallocate(int fd, off_t offset, off_t size);
int sys_flock(int fd, int operation);
int sys_fcntl(int fd, int command, long argument);
int sys_memory_file(const char *name); /* memfd_create(2) */
/* Moves a long-lived descriptor of fastimport to a high number, because programs expect to get the
 * lowest free numbers. Returns the new descriptor, or the old one if there is no other. */
int sys_move_high(int fd);
int sys_duplicate_high(int fd); /* the same, but keeps the old number open, too */
/* Makes the kernel's descriptor table large enough for sys_move_high(). Call it while the process
 * has one thread: with more, the kernel waits for an RCU grace period of 10 ms and more
 * (expand_fdtable() in Linux's fs/file.c). */
void sys_prepare_high(void);
int sys_dup3(int fd, int to, int flags);
/* kcmp(2): 0 if the two descriptors share one open file description, as after dup(2); > 0 if not;
 * -errno. */
int sys_compare_files(int a, int b);
off_t sys_lseek(int fd, off_t offset, int whence);
int sys_fstatfs(int fd, struct statfs *sf);
ssize_t sys_fgetxattr(int fd, const char *name, void *value, size_t size);
void *sys_mmap(size_t size, int prot, int flags, int fd, off_t offset); /* NULL on error */
void sys_munmap(void *at, size_t size);
/* Moves pages to another address, over what is mapped there: mremap(2) with MREMAP_FIXED. */
int sys_move_pages(void *from, size_t size, void *to);
int sys_mprotect(void *at, size_t size, int prot);
int sys_fadvise(int fd, off_t offset, off_t size, int advice); /* posix_fadvise(2) */
/* futex(2) on a word that processes may share: FUTEX_WAIT and FUTEX_WAKE. */
int sys_futex_wait(const void *word, uint32_t expected, int64_t timeout_ns);
void sys_futex_wake(const void *word, int how_many);
void sys_nap_ns(int64_t ns);
int64_t sys_now_ns(void); /* CLOCK_MONOTONIC; slower under dilation (base/dilation.h) */
pid_t sys_getpid(void);
pid_t sys_gettid(void);
uint64_t sys_random(void); /* for names that nobody can guess */
/* Is `pid` this process? Does the process `pid` exist? Both read /proc instead of calling getpid(2)
 * and kill(2), since a filter (seccomp(2)) may kill a process for a call that the program itself
 * does not make. */
bool sys_is_pid(pid_t pid);
bool sys_exists(pid_t pid);
/* The number of system call filters (seccomp(2)) of this thread. Before Linux 5.9 just 0 or 1. */
int sys_filters(void);
/* Gives this thread, and those that it starts, a root directory and a working directory of their
 * own, which chroot(2) and chdir(2) of other threads do not change. Returns 0 or -errno. */
int sys_own_directories(void);
/* The inode of the PID namespace of this process, in which its process ids are valid; 0 if it is
 * not known. */
uint64_t sys_pid_namespace(void);

/* Reads a small file into buf, up to size - 1 bytes, and NUL-terminates it. Returns the length or
 * -errno. */
ssize_t sys_read_file(const char *path, char *buf, size_t size);
/* pread(2) and pwrite(2), repeated until all is done or an error occurs. sys_pread_all() returns
 * the number of bytes read, which is smaller than `size` at the end of the file. */
ssize_t sys_pread_all(int fd, void *buf, size_t size, off_t offset);
int sys_pwrite_all(int fd, const void *buf, size_t size, off_t offset); /* 0 or -errno */

#endif
