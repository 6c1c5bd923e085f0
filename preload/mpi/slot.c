/* slot.c - see slot.h */
#include "mpi/slot.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mpi/bind.h"

enum { ANSWER_MS = 2000 };

static int slot_fd(void)
{
    const char *text = getenv("PMI_FD");

    return text == NULL ? -1 : (int)strtol(text, NULL, 10);
}

/* Has the launcher closed its end? It does when PMI is finalised. */
static bool is_closed(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};

    return poll(&end, 1, 0) < 0 || (end.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* A record lock (fcntl(2)) on the socket keeps a second process of the slot out while we live;
 * whoever comes after us sees that the launcher has closed its end. */
bool slot_claim(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = slot_fd();

    return fd < 0 || (!is_closed(fd) && syscall(SYS_fcntl, fd, F_SETLK, &lock) == 0);
}

static void say(const char *line)
{
    char answer[64];
    int fd = slot_fd();
    struct pollfd end = {.fd = fd, .events = POLLIN};

    if (fd < 0 || is_closed(fd)) {
        return;
    }
    /* the launcher answers, and takes it ill if nobody reads */
    if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 &&
        poll(&end, 1, ANSWER_MS) > 0) {
        (void)!recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    }
}

void slot_finalize(void)
{
    say("cmd=finalize\n");
}

void slot_meet(void)
{
    say("cmd=barrier_in\n");
}

void slot_abandon(void)
{
    if (!mpi_in_use()) {
        slot_finalize();
    }
}
