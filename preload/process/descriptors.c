/* SPDX-License-Identifier: BSD-3-Clause */
/* descriptors.c - see descriptors.h */
#include "process/descriptors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/dirtree.h"
#include "base/sys.h"

static bool note_number(void *descriptors, const char *name, unsigned char type)
{
    int fd = atoi(name);

    (void)type;
    if (fd >= 0 && fd < PROTECTED_FD_LIMIT) {
        ((struct descriptors *)descriptors)->bits[fd / 64] |= 1ULL << (fd % 64);
    }
    return true;
}

void descriptors_save(struct descriptors *d)
{
    int fd = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    memset(d, 0, sizeof *d);
    if (fd >= 0) {
        dirtree_each(fd, note_number, d);
        if (fd < PROTECTED_FD_LIMIT) { /* the descriptor of the listing itself */
            d->bits[fd / 64] &= ~(1ULL << (fd % 64));
        }
        sys_close(fd);
    }
}

/* Is this a socket, or a descriptor that waits for sockets (epoll, eventfd)? A regular file is not
 * MPI's: a helper thread of ours may just be reading it. */
static bool is_channel(int fd)
{
    struct stat st;

    return sys_fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

void descriptors_hold_new(const struct descriptors *before)
{
    struct descriptors now;

    descriptors_save(&now);
    for (int fd = 0; fd < PROTECTED_FD_LIMIT; fd++) {
        uint64_t opened = now.bits[fd / 64] & ~before->bits[fd / 64];

        if ((opened >> (fd % 64) & 1) != 0 && is_channel(fd)) {
            protected_fd_add(fd, PROTECTED_MPI);
        }
    }
}
