/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/cleanup_helper.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "stage/partial.h"
#include "stage/trust.h"

/* A process that dies closes its end of the pipe before the kernel releases its lock. */
enum {
    DEATH_WAIT_SECONDS = 2,
    DEATH_NAP = 2000 /* microseconds */
};

struct order {
    char parent[PATH_MAX], base[256], partial[PARTIAL_NAME];
    int speak;
};

static enum partial_state cleanup_helper_wait_for_death(const struct order *o, int parent)
{
    char token[PARTIAL_TOKEN];
    double end = io_now() + DEATH_WAIT_SECONDS;
    enum partial_state s;
    while ((s = partial_look(parent, o->base, o->partial, token)) == PARTIAL_LIVE &&
           io_now() < end) {
        io_nap(DEATH_NAP);
    }
    return s;
}

/* A copy without a mark is empty: the leader died right after it made the directory. */
static void cleanup_helper_clean(const struct order *o)
{
    struct error err = {0};
    int parent = trust_open(o->parent, &err);
    enum partial_state s = parent < 0 ? PARTIAL_LIVE : cleanup_helper_wait_for_death(o, parent);
    if (s == PARTIAL_LIVE) {
        return;
    }
    /* before removing: the launcher is about to close stderr */
    if (s == PARTIAL_DEAD && o->speak) {
        fprintf(stderr,
                "python-mpi-bcast: the job was killed before it was complete: nothing was staged; "
                "%s/%s is removed\n",
                o->parent, o->partial);
    }
    if (s == PARTIAL_DEAD) {
        partial_remove(parent, o->partial, &err);
    } else {
        unlinkat(parent, o->partial, AT_REMOVEDIR);
    }
}

static _Noreturn void cleanup_helper_main(int in)
{
    static struct order order;
    char verdict;
    signal(SIGPIPE, SIG_IGN);
    if (io_read(in, &order, sizeof order) == sizeof order && io_read(in, &verdict, 1) == 0) {
        cleanup_helper_clean(&order);
    }
    _exit(0);
}

void cleanup_helper_start(struct cleanup_helper *g)
{
    int ends[2];
    g->pipe = -1;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return;
    }
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
        cleanup_helper_main(ends[0]);
    }
    close(ends[0]);
    if (child < 0) {
        close(ends[1]);
    } else {
        g->pipe = ends[1];
    }
}

void cleanup_helper_watch(struct cleanup_helper *g, const char *parent, const char *base,
                          const char *partial, int speak)
{
    struct order o = {.speak = speak};
    snprintf(o.parent, sizeof o.parent, "%s", parent);
    snprintf(o.base, sizeof o.base, "%s", base);
    snprintf(o.partial, sizeof o.partial, "%s", partial);
    if (g->pipe >= 0) {
        io_write(g->pipe, &o, sizeof o, -1);
    }
}

void cleanup_helper_dismiss(struct cleanup_helper *g)
{
    if (g->pipe < 0) {
        return;
    }
    io_write(g->pipe, "x", 1, -1);
    close(g->pipe);
    g->pipe = -1;
}
