/* SPDX-License-Identifier: BSD-3-Clause */
/* relay.c - see relay.h. By raw system calls: the library must not see them. */
#include "tests/conformance/differential/relay.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint32_t *now;

int relay_open(const char *file)
{
    long fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    long at =
        syscall(SYS_mmap, NULL, sizeof *now, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, (off_t)0);
    syscall(SYS_close, fd);
    now = (_Atomic uint32_t *)at;
    return at == -1 ? -1 : 0;
}

void relay_await(uint32_t turn)
{
    const struct timespec slice = {0, 100000000};
    uint32_t seen;
    while ((seen = atomic_load(now)) < turn) {
        syscall(SYS_futex, now, FUTEX_WAIT, seen, &slice, NULL, 0);
    }
}

void relay_pass(uint32_t turn)
{
    atomic_store(now, turn + 1);
    syscall(SYS_futex, now, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}
