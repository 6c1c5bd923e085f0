/* SPDX-License-Identifier: BSD-3-Clause */
/* pace.c - see pace.h */
#include "pace.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "state.h"

enum { PACE_THREADS = 4096, CREDIT_NS = 5000000 };

/* What is known of a thread. The numbers of the kernel count from its start. */
struct pace_thread {
    pid_t tid; /* 0: free */
    int fd;    /* of its schedstat */
    uint64_t ran, queued;
    uint64_t answered; /* when it last got an answer; 0: never */
    int64_t owed;      /* how long it should have computed beyond what it did; below 0: credit */
};

struct pace {
    double factor;
    pthread_mutex_t lock; /* guards what follows */
    struct pace_thread thread[PACE_THREADS];
};

struct pace *pace_new(double factor)
{
    struct pace *p = calloc(1, sizeof *p);
    if (p != NULL) {
        p->factor = factor;
        pthread_mutex_init(&p->lock, NULL);
    }
    return p;
}

static bool pace_read(int fd, uint64_t *ran, uint64_t *queued)
{
    char text[80];
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;

    text[n > 0 ? n : 0] = '\0';
    return sscanf(text, "%ju %ju", (uintmax_t *)ran, (uintmax_t *)queued) == 2;
}

static void pace_watch(struct pace_thread *t, pid_t tid)
{
    char path[40];

    if (t->tid != 0 && t->fd >= 0) {
        close(t->fd);
    }
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)tid);
    *t = (struct pace_thread){.tid = tid, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    /* What it computed before is not ours: a thread of the kernel may be as old as the machine. */
    pace_read(t->fd, &t->ran, &t->queued);
}

/* The caller holds the lock. A full table has the thread take the place of another. */
static struct pace_thread *pace_find(struct pace *p, pid_t tid)
{
    unsigned at = (unsigned)tid % PACE_THREADS;

    for (unsigned n = 0; n < 16; n++) {
        struct pace_thread *t = &p->thread[(at + n) % PACE_THREADS];
        if (t->tid == tid) {
            return t;
        }
        if (t->tid == 0) {
            pace_watch(t, tid);
            return t;
        }
    }
    pace_watch(&p->thread[at], tid);
    return &p->thread[at];
}

/* How long the thread must still wait, in ns. The caller holds the lock. */
static int64_t pace_account(struct pace *p, struct pace_thread *t, uint64_t now)
{
    uint64_t ran, queued;

    if (!pace_read(t->fd, &ran, &queued)) {
        pace_watch(t, t->tid); /* another thread has the number of one that has ended */
        if (!pace_read(t->fd, &ran, &queued)) {
            return 0;
        }
    }
    uint64_t more = ran - t->ran;
    int64_t should = (int64_t)(p->factor * (double)more);
    int64_t most = t->answered > 0 ? should - (int64_t)(now - t->answered) : INT64_MAX;
    t->owed += should - (int64_t)(more + queued - t->queued);
    t->ran = ran;
    t->queued = queued;
    int64_t wait = t->owed < most ? t->owed : most;
    double least = -p->factor * CREDIT_NS;
    if (t->owed > 0) {
        t->owed = 0;
    } else if ((double)t->owed < least) {
        t->owed = (int64_t)least;
    }
    return wait > 0 ? wait : 0;
}

uint64_t pace_request(struct pace *p, pid_t tid, uint64_t now)
{
    if (p == NULL || tid <= 0) {
        return now;
    }
    pthread_mutex_lock(&p->lock);
    int64_t wait = pace_account(p, pace_find(p, tid), now);
    pthread_mutex_unlock(&p->lock);
    if (wait > 0) {
        now += (uint64_t)wait;
        sfs_sleep_until(now);
    }
    return now;
}

void pace_answer(struct pace *p, pid_t tid)
{
    if (p == NULL || tid <= 0) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    pace_find(p, tid)->answered = sfs_now();
    pthread_mutex_unlock(&p->lock);
}
