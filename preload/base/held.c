/* SPDX-License-Identifier: BSD-3-Clause */
/* held.c - see held.h */
#include "base/held.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/sys.h"

enum { ENTRIES = 256, FREE = 0, TAKEN = -1 };

struct entry {
    _Atomic int number;  /* the descriptor + 1; FREE; TAKEN: is being filled in */
    _Atomic bool closed; /* as the program believes */
    enum held_kind kind;
    pid_t owner;
    dev_t device;
    ino_t inode;
};

static struct entry entries[ENTRIES];
_Atomic uint64_t held_bits[HELD_NUMBERS / 64];

static void held_mark(int fd)
{
    if (fd < HELD_NUMBERS) {
        atomic_fetch_or(&held_bits[fd / 64], 1ULL << (fd % 64));
    }
}

static void held_unmark(int fd)
{
    if (fd < HELD_NUMBERS) {
        atomic_fetch_and(&held_bits[fd / 64], ~(1ULL << (fd % 64)));
    }
}

int held_add(int fd, enum held_kind kind)
{
    struct stat st;

    if (fd < 0 || sys_fstat(fd, &st) != 0) {
        return -1;
    }
    for (int i = 0; i < ENTRIES; i++) {
        struct entry *e = &entries[i];
        int unused = FREE;

        if (atomic_compare_exchange_strong(&e->number, &unused, TAKEN)) {
            e->kind = kind;
            e->owner = sys_getpid();
            e->device = st.st_dev;
            e->inode = st.st_ino;
            atomic_store(&e->closed, false);
            atomic_store(&e->number, fd + 1);
            held_mark(fd);
            return i;
        }
    }
    return -1;
}

int held_fd(int entry)
{
    const struct entry *e = &entries[entry < 0 ? 0 : entry];
    int fd = entry < 0 ? -1 : atomic_load(&e->number) - 1;
    struct stat st;

    return fd >= 0 && sys_fstat(fd, &st) == 0 && st.st_dev == e->device && st.st_ino == e->inode
               ? fd
               : -1;
}

void held_drop(int entry)
{
    int number = entry < 0 ? FREE : atomic_exchange(&entries[entry].number, FREE);

    if (number > 0) {
        held_unmark(number - 1);
    }
}

void held_close(int entry)
{
    int fd = held_fd(entry);

    held_drop(entry);
    if (fd >= 0) {
        sys_close(fd);
    }
}

void held_drop_all(enum held_kind kind)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (atomic_load(&entries[i].number) > 0 && entries[i].kind == kind) {
            held_drop(i);
        }
    }
}

int held_find(int fd)
{
    if (!held_maybe(fd)) {
        return -1;
    }
    for (int i = 0; i < ENTRIES; i++) {
        if (atomic_load(&entries[i].number) != fd + 1) {
            continue;
        }
        if (!sys_is_pid(entries[i].owner)) { /* nor may a child of vfork(2) change anything */
            return -1;
        }
        if (held_fd(i) == fd) {
            return i;
        }
        held_drop(i);
    }
    return -1;
}

enum held_kind held_kind_of(int entry)
{
    return entries[entry].kind;
}

int held_next(unsigned first)
{
    for (unsigned fd = first; fd < HELD_NUMBERS; fd++) {
        uint64_t bits = atomic_load(&held_bits[fd / 64]) >> (fd % 64);

        if (bits != 0) {
            return (int)fd + __builtin_ctzll(bits);
        }
        fd |= 63;
    }
    return -1;
}

bool held_pretend_closed(int entry)
{
    return !atomic_exchange(&entries[entry].closed, true);
}

void held_move(int entry)
{
    int fd = held_fd(entry);
    int to = fd < 0 ? fd : sys_duplicate_high(fd);

    if (to >= 0) {
        atomic_store(&entries[entry].number, to + 1);
        held_unmark(fd);
        held_mark(to);
    }
}
