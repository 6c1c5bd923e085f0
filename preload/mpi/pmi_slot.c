/* SPDX-License-Identifier: BSD-3-Clause */
/* pmi_slot.c - see pmi_slot.h */
#include "mpi/pmi_slot.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/env.h"
#include "base/held.h"
#include "base/sys.h"
#include "mpi/bind.h"

enum { ANSWER_MS = 2000 };

static struct {
    int number; /* the launcher's descriptor, as it was at the start */
    int held;   /* its entry (base/held.h) */
} slot = {.number = -1, .held = -1};

/* --- PMI-1's wire protocol: lines "cmd=NAME ...", which hydra's and Slurm's servers speak --- */

/* Has the launcher closed its end? It does when PMI is finalised. */
static bool is_closed(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};

    return poll(&end, 1, 0) < 0 || (end.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* Reads the reply, too: hydra reports an error if the socket closes with it unread. */
static void say_finalize(int fd)
{
    static const char finalize[] = "cmd=finalize\n";
    char answer[64];
    struct pollfd end = {.fd = fd, .events = POLLIN};

    if (!is_closed(fd) &&
        send(fd, finalize, sizeof finalize - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 &&
        poll(&end, 1, ANSWER_MS) > 0) {
        (void)!recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    }
}

/* --- the slot --- */

void slot_prepare(void)
{
    const char *text = getenv("PMI_FD");

    slot.number = text == NULL ? -1 : (int)strtol(text, NULL, 10);
    slot.held = held_add(slot.number, HELD_PMI);
}

/* -1: there is none, or the program has closed it, and may use its number for something else. */
static int slot_fd(void)
{
    return held_fd(slot.held);
}

/* A record lock (fcntl(2)) on the socket keeps a second process of the slot out while we live;
 * whoever comes after us sees that the launcher has closed its end. */
bool slot_claim(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    slot_prepare();
    return slot.number < 0 ||
           (!is_closed(slot.number) && syscall(SYS_fcntl, slot.number, F_SETLK, &lock) == 0);
}

void slot_finalize(void)
{
    int fd = slot_fd();

    if (fd >= 0) {
        say_finalize(fd);
    }
}

bool slot_is_lost(void)
{
    int fd = slot_fd();

    return slot.number >= 0 && (fd < 0 || is_closed(fd));
}

void slot_abandon(void)
{
    if (!mpi_in_use()) {
        slot_finalize();
    }
}

bool slot_is_named_in(char *const environment[])
{
    const char *text = env_value(environment, "PMI_FD");

    return text == NULL ? slot_fd() < 0 : (int)strtol(text, NULL, 10) == slot_fd();
}
