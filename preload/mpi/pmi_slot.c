/* SPDX-License-Identifier: BSD-3-Clause */
/* pmi_slot.c - see pmi_slot.h */
#include "mpi/pmi_slot.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/protected_fd.h"
#include "base/sys.h"
#include "ldso/dynamic.h"
#include "mpi/bind.h"
#include "mpi/node_id.h"

enum { REPLY_MS = 2000 }; /* how long the launcher may take to reply */

static struct {
    int number; /* the PMI descriptor's number at the start; -1: none */
    int held;   /* its entry (base/protected_fd.h) */
} slot = {.number = -1, .held = -1};

/* --- PMI-1's wire protocol: lines "cmd=NAME ...", which hydra and Slurm understand --- */

/* Has the launcher closed its end? It does so when PMI is finalised. */
static bool is_closed(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};

    return poll(&end, 1, 0) < 0 || (end.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* Reads the reply, too: hydra reports an error if the socket closes with it unread. */
static void say_finalize(int fd)
{
    static const char finalize[] = "cmd=finalize\n";
    char reply[64];
    struct pollfd end = {.fd = fd, .events = POLLIN};

    if (!is_closed(fd) &&
        send(fd, finalize, sizeof finalize - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 &&
        poll(&end, 1, REPLY_MS) > 0) {
        (void)!recv(fd, reply, sizeof reply, MSG_DONTWAIT);
    }
}

/* --- PMIx: no descriptor is inherited; the library that MPI has loaded closes the slot --- */

static bool is_pmix(void)
{
    return slot.number < 0 && launcher_pmix_server() != NULL;
}

/* libpmix.so, or the library of Open MPI that has a PMIx of its own in it. */
static int find_pmix(struct dl_phdr_info *info, size_t size, void *name)
{
    struct dynamic d;

    (void)size;
    if (!dynamic_read(info, &d) || dynamic_definition(&d, "PMIx_Finalize") == NULL ||
        dynamic_definition(&d, "PMIx_Initialized") == NULL) {
        return 0;
    }
    snprintf(name, FI_PATH_MAX, "%s", info->dlpi_name == NULL ? "" : info->dlpi_name);
    return 1;
}

/* PMIx counts its initialisations: MPI's, and perhaps others. */
static void finalize_pmix(void)
{
    enum { MOST = 8 };
    char name[FI_PATH_MAX] = "";
    int (*initialized)(void) = NULL;
    int (*finalize)(const void *, size_t) = NULL;
    void *library = dl_iterate_phdr(find_pmix, name) == 0 || name[0] == '\0'
                        ? NULL
                        : dlopen(name, RTLD_LAZY | RTLD_NOLOAD);

    if (library != NULL) {
        *(void **)&initialized = dlsym(library, "PMIx_Initialized");
        *(void **)&finalize = dlsym(library, "PMIx_Finalize");
    }
    for (int i = 0; finalize != NULL && i < MOST && initialized() != 0; i++) {
        finalize(NULL, 0);
    }
}

/* A name in the abstract namespace of sockets (unix(7)) is ours until we end. Others cannot take it:
 * they do not know the server's address, which is in the environment alone. */
static bool claim_pmix(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *rank = getenv("PMIX_RANK");
    const char *server = launcher_pmix_server();
    int fd = sys_move_high(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    int n =
        snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "fastimport.%016llx.%.20s",
                 (unsigned long long)fi_hash(server, strlen(server), 1), rank == NULL ? "" : rank);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);

    return fd < 0 || bind(fd, (struct sockaddr *)&name, size) == 0;
}

/* --- the slot --- */

void slot_prepare(void)
{
    const char *text = getenv("PMI_FD");

    slot.number = text == NULL ? -1 : (int)strtol(text, NULL, 10);
    slot.held = protected_fd_add(slot.number, PROTECTED_PMI);
}

/* The PMI descriptor now. -1: there is none, or the program has closed it and may use its number
 * for something else. */
static int slot_fd(void)
{
    return protected_fd_get(slot.held);
}

/* A record lock (fcntl(2)) on the socket keeps other processes of the slot out as long as this one
 * lives. A later one sees that the launcher has closed its end. */
bool slot_claim(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    slot_prepare();
    if (is_pmix()) {
        return claim_pmix();
    }
    return slot.number < 0 ||
           (!is_closed(slot.number) && syscall(SYS_fcntl, slot.number, F_SETLK, &lock) == 0);
}

void slot_finalize(void)
{
    int fd = slot_fd();

    if (is_pmix()) {
        finalize_pmix();
    } else if (fd >= 0) {
        say_finalize(fd);
    }
}

bool slot_is_lost(void)
{
    int fd = slot_fd();

    return slot.number >= 0 && (fd < 0 || is_closed(fd));
}

void slot_finalize_after_exec(void)
{
    if (!mpi_in_use()) {
        slot_finalize();
    }
}

bool slot_is_named_in(char *const environment[])
{
    const char *text = env_value(environment, "PMI_FD");

    if (is_pmix()) { /* its connection ends with this program */
        return false;
    }
    return text == NULL ? slot_fd() < 0 : (int)strtol(text, NULL, 10) == slot_fd();
}
