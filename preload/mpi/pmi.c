/* pmi.c - see pmi.h */
#include "mpi/pmi.h"

#include <poll.h>
#include <sys/socket.h>

enum { ANSWER_MS = 2000 };

bool pmi_is_closed(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};

    return poll(&end, 1, 0) < 0 || (end.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* The launcher answers, and takes it ill if nobody reads. */
void pmi_finalize(int fd)
{
    static const char finalize[] = "cmd=finalize\n";
    char answer[64];
    struct pollfd end = {.fd = fd, .events = POLLIN};

    if (!pmi_is_closed(fd) &&
        send(fd, finalize, sizeof finalize - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 &&
        poll(&end, 1, ANSWER_MS) > 0) {
        (void)!recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    }
}
