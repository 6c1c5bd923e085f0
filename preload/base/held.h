/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * held.h - descriptors that must stay open though the program did not open them, and may close all
 * that it did not open (daemons, closerange(3, 4096)): those that fastimport keeps, and those by
 * which MPI, initialised for fastimport only, speaks to the launcher and to other ranks.
 *
 * The wrappers of close(2) and dup2(2) (intercept/close.c) spare them. What they cannot see, a raw
 * system call, is found out by the identity of the open file: a number that names another file by
 * now is never used.
 *
 * Thread rules: any thread; held_move() of one number from one thread at a time. In a forked child
 * nothing is held.
 */
#ifndef FASTIMPORT_BASE_HELD_H
#define FASTIMPORT_BASE_HELD_H

#include <stdbool.h>
#include <stdint.h>

enum held_kind {
    HELD_OURS,
    HELD_MPI,
    HELD_PMI /* the launcher's, which the program has inherited and may close */
};

enum { HELD_NUMBERS = 4096 }; /* higher ones are not held */

/* The program's numbers of which some thread may have to know: a bit each. */
extern _Atomic uint64_t held_bits[HELD_NUMBERS / 64];

/* An entry for the descriptor, -1: there is none (fd < 0, no room). */
int held_add(int fd, enum held_kind kind);
/* The descriptor of an entry, -1: it is not what it was. */
int held_fd(int entry);
/* The entry is forgotten; the second also closes its descriptor. */
void held_drop(int entry);
void held_close(int entry);
/* All of a kind are forgotten. */
void held_drop_all(enum held_kind kind);

/* The entry of a number, -1: it is not held, or this is a forked child. */
int held_find(int fd);
enum held_kind held_kind_of(int entry);
/* The lowest number >= first of those that are perhaps held, -1: none. */
int held_next(unsigned first);
/* The program believes it closed: true for the first time. */
bool held_pretend_closed(int entry);
/* The descriptor gets another number, out of the program's way; the old one is closed by whoever
 * wants it. */
void held_move(int entry);

/* The quick question of every wrapper. */
static inline bool held_maybe(int fd)
{
    return fd >= 0 && fd < HELD_NUMBERS && (held_bits[fd / 64] >> (fd % 64) & 1) != 0;
}

#endif
