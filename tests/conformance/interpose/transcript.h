/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transcript: writes down what a program saw of the file system, in a form that two runs can be
 * compared by, line by line.
 *
 * Calling order: tr_open, tr_base, then anything, tr_close. One transcript a process, one thread.
 * The file is opened by a raw system call and every line is written at once, so that a crash or a
 * fork loses and doubles nothing. No function here calls anything that fastimport intercepts.
 * Every function leaves errno as it found it.
 *
 * Two grades of detail. TR_EXACT prints every field: for runs on one and the same tree. TR_MAPPED
 * is for two trees built alike: (st_dev, st_ino) become numbers in order of appearance, atime,
 * ctime and btime are left out, and an mtime of 2010 or later is "now". On file systems that give
 * the number of a deleted file to a new one, set TEST_NO_INODES in the environment: numbers are
 * left out.
 */
#ifndef TESTS_INTERPOSE_TRANSCRIPT_H
#define TESTS_INTERPOSE_TRANSCRIPT_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* The errno that a successful call leaves must be the one it found: see tr_ret. */
#define TRY(call) (errno = 0, (call))

#define TR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum tr_grade { TR_EXACT, TR_MAPPED };

/* Truncates `file`. Returns 0, or -1 with errno. */
int tr_open(const char *file);
void tr_close(void);

/* In quoted paths, `dir` is printed as "~". Its device is that of d_ino, but see tr_names_in().
 * Keeps no pointer. */
void tr_base(const char *dir, enum tr_grade grade);

/* Forgets the inode numbers seen so far (TR_MAPPED). */
void tr_forget(void);

/* `s` in double quotes, odd bytes escaped, the base shortened, long strings cut and hashed; NULL
 * and unmapped pointers have names. One of 8 static buffers. */
const char *tr_q(const char *s);

const char *tr_errno(int err);

void tr_line(const char *fmt, ...) TR_PRINTF(1, 2);

/* "TEXT = RET", with the errno's name if RET is -1, or if it succeeded and errno is not 0. */
void tr_ret(long ret, const char *fmt, ...) TR_PRINTF(2, 3);
/* Is this number free, as it must be once closed? A thread of the library may use it for a moment:
 * waits a second for the answer. */
void tr_closed(int fd);

/* "TEXT = ok" or "TEXT = NULL ERRNO"; errno after a success is not compared. */
void tr_ptr(const void *ptr, const char *fmt, ...) TR_PRINTF(2, 3);

/* "TEXT = fd" or "TEXT = -1 ERRNO": descriptor numbers are not compared. */
void tr_fd(int fd, const char *fmt, ...) TR_PRINTF(2, 3);

/* The fields, on a line of their own. */
void tr_stat(const struct stat *st);
void tr_statx(const struct statx *sx);

/* Length, hash, and the bytes themselves if they are few. */
void tr_bytes(const char *what, const void *data, size_t size);

/* A set of directory entries: add in any order, print sorted by name. At most 8192 a set. */
void tr_name_add(const char *name, uint64_t ino, unsigned char type);
void tr_names(const char *what);
/* The set is that of this directory (fstatat(2); "": dirfd's own), which may be on another device.
 */
void tr_names_in(int dirfd, const char *path);

uint64_t tr_hash(const void *data, size_t size);

#endif
