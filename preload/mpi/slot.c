/* slot.c - see slot.h */
#include "mpi/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/held.h"
#include "base/linkmap.h"
#include "base/path.h"
#include "base/sys.h"
#include "mpi/bind.h"
#include "mpi/pmi.h"

enum { STACK = 65536 };

static struct {
    char keeper[FI_PATH_MAX]; /* "": not known */
    int number;               /* the launcher's descriptor, as it was at the start */
    int held;                 /* its entry (base/held.h) */
} slot = {.number = -1, .held = -1};

/* The program may change its working directory. */
static void find_keeper(void)
{
    char name[FI_PATH_MAX];
    char cwd[FI_PATH_MAX];

    slot.keeper[0] = '\0';
    if (linkmap_beside("fastimport-keeper", name, sizeof name)) {
        if (name[0] == '/') {
            memcpy(slot.keeper, name, strlen(name) + 1);
        } else if (sys_getcwd(cwd, sizeof cwd) <= 0 ||
                   !path_join(slot.keeper, sizeof slot.keeper, cwd, name)) {
            slot.keeper[0] = '\0';
        }
    }
}

/* A variable outlives its job, and its number may be that of a file of the program by now. MPI would
 * write into that. */
static bool is_launchers_socket(int fd)
{
    struct stat st;

    return fd > STDERR_FILENO && sys_fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void slot_prepare(void)
{
    const char *text = getenv("PMI_FD");

    find_keeper();
    slot.number = text == NULL ? -1 : (int)strtol(text, NULL, 10);
    slot.held = is_launchers_socket(slot.number) ? held_add(slot.number, HELD_PMI) : -1;
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
    return getenv("PMI_FD") == NULL ||
           (is_launchers_socket(slot.number) && !pmi_is_closed(slot.number) &&
            syscall(SYS_fcntl, slot.number, F_SETLK, &lock) == 0);
}

void slot_finalize(void)
{
    int fd = slot_fd();

    if (fd >= 0) {
        pmi_finalize(fd);
    }
}

bool slot_is_lost(void)
{
    int fd = slot_fd();

    return slot.number >= 0 && (fd < 0 || pmi_is_closed(fd));
}

void slot_abandon(void)
{
    if (!mpi_in_use()) {
        slot_finalize();
    }
}

bool slot_is_named_in(char *const environment[])
{
    const char *text = environment_value(environment, "PMI_FD");

    return text == NULL ? slot_fd() < 0 : (int)strtol(text, NULL, 10) == slot_fd();
}

/* --- the keeper --- */

/* On a stack of its own, in our memory, while the caller waits, as after vfork(2). */
static int start_keeper(void *started)
{
    char pid[16];
    char fd[16];
    char *const argv[] = {slot.keeper, pid, fd, NULL};
    char *const environment[] = {NULL};
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t child;

    snprintf(pid, sizeof pid, "%d", (int)getppid());
    snprintf(fd, sizeof fd, "%d", slot_fd());
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    *(bool *)started = posix_spawn(&child, slot.keeper, NULL, &attributes, argv, environment) == 0;
    syscall(SYS_exit, 0);
    return 0;
}

/* The keeper is its grandchild, and then nobody's, so that the program that follows finds no child.
 * Without an exit signal the one between is not seen by the program either (clone(2), __WCLONE).
 */
static bool run_between(void)
{
    char *stack = sys_mmap(STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool started = false;
    pid_t between =
        stack == NULL ? -1 : clone(start_keeper, stack + STACK, CLONE_VM | CLONE_VFORK, &started);

    while (between > 0 && waitpid(between, NULL, __WCLONE) < 0 && errno == EINTR) {
    }
    if (stack != NULL) {
        sys_munmap(stack, STACK);
    }
    return started;
}

/* No handler of the program may run in the process between, which shares its memory; and the keeper
 * needs the descriptor, whether the next program gets it or not. Allocates nothing. */
static bool keeper_stands(void)
{
    int fd = slot_fd();
    int flags = sys_fcntl(fd, F_GETFD, 0);
    sigset_t all, before;
    bool stands;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    sys_fcntl(fd, F_SETFD, 0);
    stands = run_between();
    sys_fcntl(fd, F_SETFD, flags);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return stands;
}

/* Orphans would become its children: it would wait for the keeper, and the keeper for it. */
static bool adopts_orphans(void)
{
    int is_reaper = 0;

    return sys_getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &is_reaper) == 0 && is_reaper != 0);
}

void slot_keep(void)
{
    if (slot_fd() >= 0 && (slot.keeper[0] == '\0' || adopts_orphans() || !keeper_stands())) {
        slot_finalize();
    }
}
