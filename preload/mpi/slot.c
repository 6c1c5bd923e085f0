/* slot.c - see slot.h */
#include "mpi/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/linkmap.h"
#include "base/path.h"
#include "mpi/bind.h"
#include "mpi/pmi.h"

static char keeper[FI_PATH_MAX]; /* "": not known */

static int slot_fd(void)
{
    const char *text = getenv("PMI_FD");

    return text == NULL ? -1 : (int)strtol(text, NULL, 10);
}

/* A record lock (fcntl(2)) on the socket keeps a second process of the slot out while we live;
 * whoever comes after us sees that the launcher has closed its end. */
bool slot_claim(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = slot_fd();

    slot_prepare();
    return fd < 0 || (!pmi_is_closed(fd) && syscall(SYS_fcntl, fd, F_SETLK, &lock) == 0);
}

void slot_prepare(void)
{
    if (!linkmap_beside("fastimport-keeper", keeper, sizeof keeper)) {
        keeper[0] = '\0';
    }
}

void slot_finalize(void)
{
    int fd = slot_fd();

    if (fd >= 0) {
        pmi_finalize(fd);
    }
}

void slot_abandon(void)
{
    if (!mpi_in_use()) {
        slot_finalize();
    }
}

/* The program that follows must find no child of ours: the keeper's first process ends when the
 * second has begun. */
void slot_keep(void)
{
    char number[16];
    char *const argv[] = {keeper, number, NULL};
    char *const environment[] = {NULL};
    pid_t child;

    snprintf(number, sizeof number, "%d", slot_fd());
    if (keeper[0] == '\0' || number[0] == '-' ||
        posix_spawn(&child, keeper, NULL, NULL, argv, environment) != 0) {
        return;
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}
