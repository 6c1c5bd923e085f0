#include "stage/guardian.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "tree/tree.h"

struct order {
    char parent[PATH_MAX], partial[300], lock[300];
    int speak;
};

/* Another job may hold the lock by now: then it has removed the partial copy, and owns the lock
 * file. */
static void clean(const struct order *o)
{
    struct fault f = {0};
    int parent = open(o->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lock = parent < 0 ? -1 : openat(parent, o->lock, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
        return;
    if (o->speak) /* at once: the launcher is about to close stderr */
        fprintf(stderr,
                "python-mpi-bcast: the job was killed before it was done: nothing was staged, "
                "%s/%s is removed\n",
                o->parent, o->partial);
    tree_remove(parent, o->partial, &f);
    unlinkat(parent, o->lock, 0);
}

static _Noreturn void live(int in)
{
    static struct order order;
    char verdict;
    signal(SIGPIPE, SIG_IGN);
    if (io_read(in, &order, sizeof order) == sizeof order && io_read(in, &verdict, 1) == 0)
        clean(&order);
    _exit(0);
}

void guardian_start(struct guardian *g)
{
    int ends[2];
    g->pipe = -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        int nothing = open("/dev/null", O_RDWR);
        setsid();
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        dup2(nothing, 0);
        dup2(nothing, 1);
        close(ends[1]);
        live(ends[0]);
    }
    close(ends[0]);
    if (child < 0)
        close(ends[1]);
    else
        g->pipe = ends[1];
}

void guardian_watch(struct guardian *g, const char *parent, const char *partial, const char *lock,
                    int speak)
{
    struct order o = {.speak = speak};
    snprintf(o.parent, sizeof o.parent, "%s", parent);
    snprintf(o.partial, sizeof o.partial, "%s", partial);
    snprintf(o.lock, sizeof o.lock, "%s", lock);
    if (g->pipe >= 0)
        io_write(g->pipe, &o, sizeof o, -1);
}

void guardian_dismiss(struct guardian *g)
{
    if (g->pipe < 0)
        return;
    io_write(g->pipe, "x", 1, -1);
    close(g->pipe);
    g->pipe = -1;
}
