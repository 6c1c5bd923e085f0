/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * protected_fd.h - descriptors that must survive a program which closes all that it did not open
 * (daemons; os.closerange(3, 4096)).
 *
 * Two kinds need this: descriptors of fastimport itself, and those through which an MPI library
 * talks to the launcher and to other ranks, if it was initialised for fastimport alone.
 *
 * The wrappers of close(2) and dup2(2) (intercept/close.c) leave protected descriptors open. They
 * cannot see a raw system call. So each entry remembers device and inode of its open file, and a
 * number that refers to another file by now is never used.
 *
 * Thread rules: any thread; protected_fd_move() of one entry by one thread at a time. In a forked
 * child nothing is protected.
 */
#ifndef FASTIMPORT_BASE_PROTECTED_FD_H
#define FASTIMPORT_BASE_PROTECTED_FD_H

#include <stdbool.h>
#include <stdint.h>

enum protected_fd_kind {
    PROTECTED_OURS,
    PROTECTED_MPI,
    PROTECTED_PMI /* inherited from the launcher; the program may close it */
};

enum { PROTECTED_FD_LIMIT = 4096 }; /* higher descriptors are not protected */

/* One bit for each descriptor that may be protected: the quick test of the wrappers. */
extern _Atomic uint64_t protected_fd_bits[PROTECTED_FD_LIMIT / 64];

/* Protects a descriptor. Returns its entry, or -1 if that is impossible (fd < 0, table full). */
int protected_fd_add(int fd, enum protected_fd_kind kind);
/* The descriptor of an entry, or -1 if it no longer refers to the same file. */
int protected_fd_get(int entry);
/* Ends the protection of an entry; the second function closes its descriptor, too. */
void protected_fd_forget(int entry);
void protected_fd_close(int entry);
/* Ends the protection of all entries of a kind. */
void protected_fd_forget_all(enum protected_fd_kind kind);

/* The entry of a descriptor, or -1 if it is not protected or this is a forked child. */
int protected_fd_find(int fd);
/* The kind of an entry, which must be valid. */
enum protected_fd_kind protected_fd_kind_of(int entry);
/* The lowest descriptor >= first that may be protected, or -1. */
int protected_fd_next(unsigned first);
/* Records that the program believes this descriptor to be closed. True only the first time: the
 * program's second close(2) must fail with EBADF. */
bool protected_fd_pretend_closed(int entry);
/* Duplicates the descriptor to a high number, because the program wants its number. The entry then
 * refers to the new one. The caller disposes of the old one. */
void protected_fd_move(int entry);

/* The quick test of every wrapper: false means that fd is certainly not protected. */
static inline bool protected_fd_maybe(int fd)
{
    return fd >= 0 && fd < PROTECTED_FD_LIMIT && (protected_fd_bits[fd / 64] >> (fd % 64) & 1) != 0;
}

#endif
