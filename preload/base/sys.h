/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sys.h - system calls that no wrapper of ours can see.
 *
 * The library exports open(), stat() and their family, so its own code must not call them by these
 * names. Every look at the operating system from inside fastimport goes through here: raw system
 * calls, no errno, no cancellation points, no allocation. Results are the kernel's: >= 0, or -errno
 * (see intro(2), syscall(2)).
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
ssize_t sys_readlinkat(int dirfd, const char *path, char *buf, size_t size); /* the same */
/* The executable of this process, NUL-terminated: its length; 0 and "" where it is not known. */
size_t sys_program(char *buf, size_t size);
int sys_chdir(const char *path);
ssize_t sys_getcwd(char *buf, size_t size); /* length with the NUL */
/* The name without symlinks, NUL-terminated: 0 or -errno. Opens nothing that could block. */
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
int sys_fchmod(int fd, mode_t mode);
int sys_futimens(int fd, const struct timespec times[2]);
int sys_ftruncate(int fd, off_t size);
int sys_fallocate(int fd, off_t offset, off_t size);
int sys_flock(int fd, int operation);
int sys_fcntl(int fd, int command, long argument);
int sys_memory_file(const char *name); /* memfd_create(2) */
/* Moves a descriptor of ours that stays open out of the program's way: it expects 0, 1, 2 and the
 * lowest free ones. */
int sys_move_high(int fd);
int sys_duplicate_high(int fd); /* the same, and the old number stays */
/* Makes the kernel's table of descriptors large enough for sys_move_high(). Call it before there
 * are threads: with them the kernel waits for an RCU grace period, 10 ms and more (expand_fdtable()
 * in Linux's fs/file.c). */
void sys_prepare_high(void);
int sys_dup3(int fd, int to, int flags);
/* kcmp(2): 0 if two descriptors share their open file, as dup(2) makes them; > 0 if not; -errno. */
int sys_compare_files(int a, int b);
off_t sys_lseek(int fd, off_t offset, int whence);
int sys_fstatfs(int fd, struct statfs *sf);
void *sys_mmap(size_t size, int prot, int flags, int fd, off_t offset); /* NULL on error */
void sys_munmap(void *at, size_t size);
int sys_futex_wait(const void *word, uint32_t expected,
                   int64_t timeout_ns); /* shared between processes */
void sys_futex_wake(const void *word, int how_many);
void sys_nap_ns(int64_t ns);
int64_t sys_now_ns(void); /* CLOCK_MONOTONIC */
pid_t sys_getpid(void);
uint64_t sys_random(void); /* for names that nobody can guess */
/* The same by /proc, where a filter (seccomp(2)) may kill who calls what the program does not. */
bool sys_is_pid(pid_t pid);
bool sys_exists(pid_t pid);
/* How many filters of system calls (seccomp(2)) this thread has; before Linux 5.9: whether. */
int sys_filters(void);
/* This thread, and those it starts, get a root directory and a working directory of their own,
 * which chroot(2) and chdir(2) of the others leave alone. 0 or -errno. */
int sys_own_directories(void);
/* The inode of the namespace in which that is meant; 0: not known. */
uint64_t sys_pid_namespace(void);

/* Reads a whole small file; returns its length, NUL-terminates, cuts at size - 1; -errno on
 * failure. */
ssize_t sys_read_file(const char *path, char *buf, size_t size);
/* pread/pwrite until all is done or an error; a short read at end of file returns less. */
ssize_t sys_pread_all(int fd, void *buf, size_t size, off_t offset);
int sys_pwrite_all(int fd, const void *buf, size_t size, off_t offset); /* 0 or -errno */

#endif
