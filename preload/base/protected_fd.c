/* SPDX-License-Identifier: BSD-3-Clause */
/* protected_fd.c - see protected_fd.h */
#include "base/protected_fd.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/sys.h"

enum { ENTRIES = 256, FREE = 0, TAKEN = -1 };

struct entry {
    _Atomic int number;  /* the descriptor + 1; FREE; TAKEN while it is filled in */
    _Atomic bool closed; /* the program believes that it has closed it */
    enum protected_fd_kind kind;
    pid_t owner;
    dev_t device;
    ino_t inode;
};

static struct entry entries[ENTRIES];
_Atomic uint64_t protected_fd_bits[PROTECTED_FD_LIMIT / 64];

static void protected_fd_mark(int fd)
{
    if (fd < PROTECTED_FD_LIMIT) {
        atomic_fetch_or(&protected_fd_bits[fd / 64], 1ULL << (fd % 64));
    }
}

static void protected_fd_unmark(int fd)
{
    if (fd < PROTECTED_FD_LIMIT) {
        atomic_fetch_and(&protected_fd_bits[fd / 64], ~(1ULL << (fd % 64)));
    }
}

int protected_fd_add(int fd, enum protected_fd_kind kind)
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
            protected_fd_mark(fd);
            return i;
        }
    }
    return -1;
}

int protected_fd_get(int entry)
{
    const struct entry *e = &entries[entry < 0 ? 0 : entry];
    int fd = entry < 0 ? -1 : atomic_load(&e->number) - 1;
    struct stat st;

    return fd >= 0 && sys_fstat(fd, &st) == 0 && st.st_dev == e->device && st.st_ino == e->inode
               ? fd
               : -1;
}

void protected_fd_forget(int entry)
{
    int number = entry < 0 ? FREE : atomic_exchange(&entries[entry].number, FREE);

    if (number > 0) {
        protected_fd_unmark(number - 1);
    }
}

void protected_fd_close(int entry)
{
    int fd = protected_fd_get(entry);

    protected_fd_forget(entry);
    if (fd >= 0) {
        sys_close(fd);
    }
}

void protected_fd_forget_all(enum protected_fd_kind kind)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (atomic_load(&entries[i].number) > 0 && entries[i].kind == kind) {
            protected_fd_forget(i);
        }
    }
}

int protected_fd_find(int fd)
{
    if (!protected_fd_maybe(fd)) {
        return -1;
    }
    for (int i = 0; i < ENTRIES; i++) {
        if (atomic_load(&entries[i].number) != fd + 1) {
            continue;
        }
        if (!sys_is_pid(entries[i].owner)) { /* also in a child of vfork(2), which shares this
                                              * memory and must not change it */
            return -1;
        }
        if (protected_fd_get(i) == fd) {
            return i;
        }
        protected_fd_forget(i);
    }
    return -1;
}

enum protected_fd_kind protected_fd_kind_of(int entry)
{
    return entries[entry].kind;
}

int protected_fd_next(unsigned first)
{
    for (unsigned fd = first; fd < PROTECTED_FD_LIMIT; fd++) {
        uint64_t bits = atomic_load(&protected_fd_bits[fd / 64]) >> (fd % 64);

        if (bits != 0) {
            return (int)fd + __builtin_ctzll(bits);
        }
        fd |= 63;
    }
    return -1;
}

bool protected_fd_pretend_closed(int entry)
{
    return !atomic_exchange(&entries[entry].closed, true);
}

void protected_fd_move(int entry)
{
    int fd = protected_fd_get(entry);
    int to = fd < 0 ? fd : sys_duplicate_high(fd);

    if (to >= 0) {
        atomic_store(&entries[entry].number, to + 1);
        protected_fd_unmark(fd);
        protected_fd_mark(to);
    }
}
