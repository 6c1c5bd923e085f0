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
#include "base/sys.h"
#include "mpi/bind.h"
#include "mpi/pmi.h"

static struct {
    char keeper[FI_PATH_MAX]; /* "": not known */
    dev_t device;             /* of the descriptor, at the start */
    ino_t inode;
} slot;

static int named_fd(void)
{
    const char *text = getenv("PMI_FD");

    return text == NULL ? -1 : (int)strtol(text, NULL, 10);
}

/* -1: there is none, or the program has closed it and uses its number for something else. */
static int slot_fd(void)
{
    struct stat st;
    int fd = named_fd();

    return fd >= 0 && sys_fstat(fd, &st) == 0 && st.st_dev == slot.device && st.st_ino == slot.inode
               ? fd
               : -1;
}

void slot_prepare(void)
{
    struct stat st;

    if (!linkmap_beside("fastimport-keeper", slot.keeper, sizeof slot.keeper)) {
        slot.keeper[0] = '\0';
    }
    if (sys_fstat(named_fd(), &st) == 0) {
        slot.device = st.st_dev;
        slot.inode = st.st_ino;
    }
}

/* A record lock (fcntl(2)) on the socket keeps a second process of the slot out while we live;
 * whoever comes after us sees that the launcher has closed its end. */
bool slot_claim(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = named_fd();

    slot_prepare();
    return fd < 0 || (!pmi_is_closed(fd) && syscall(SYS_fcntl, fd, F_SETLK, &lock) == 0);
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
    char *const argv[] = {slot.keeper, number, NULL};
    char *const environment[] = {NULL};
    pid_t child;

    snprintf(number, sizeof number, "%d", slot_fd());
    if (slot.keeper[0] == '\0' || number[0] == '-' ||
        posix_spawn(&child, slot.keeper, NULL, NULL, argv, environment) != 0) {
        return;
    }
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}
