#include "base/crew.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/io.h"

/* Slots are used round robin; the counters only grow: released <= taken <= submitted. */
struct crew {
    struct crew_job job;
    void **slots;
    bool *done;
    int n;
    void *tool; /* when there are no threads */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t work, result;
    unsigned long submitted, taken, released; /* under lock */
    bool stop;                                /* under lock */
};

static void *worker(void *arg)
{
    struct crew *c = arg;
    void *tool = c->job.tool_new(c->job.context);
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (c->taken == c->submitted && !c->stop)
            pthread_cond_wait(&c->work, &c->lock);
        if (c->taken == c->submitted)
            break;
        size_t i = c->taken++ % (unsigned long)c->n;
        pthread_mutex_unlock(&c->lock);
        c->job.work(c->slots[i], tool);
        pthread_mutex_lock(&c->lock);
        c->done[i] = true;
        pthread_cond_signal(&c->result);
    }
    pthread_mutex_unlock(&c->lock);
    c->job.tool_free(tool);
    return NULL;
}

/* Threads that cannot be started are done without. */
static void start(struct crew *c)
{
    int want = c->job.threads;
    c->threads = io_alloc((size_t)(want + 1) * sizeof *c->threads);
    for (c->job.threads = 0; c->job.threads < want; c->job.threads++)
        if (pthread_create(&c->threads[c->job.threads], NULL, worker, c) != 0)
            break;
    if (c->job.threads == 0)
        c->tool = c->job.tool_new(c->job.context);
}

struct crew *crew_new(const struct crew_job *job, void **slots, int n)
{
    struct crew *c = io_alloc(sizeof *c);
    c->job = *job;
    c->slots = slots;
    c->n = n;
    c->done = io_alloc((size_t)n * sizeof *c->done);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->result, NULL);
    start(c);
    return c;
}

void crew_free(struct crew *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < c->job.threads; i++)
        pthread_join(c->threads[i], NULL);
    if (c->tool)
        c->job.tool_free(c->tool);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->result);
    pthread_mutex_destroy(&c->lock);
    free(c->threads);
    free(c->done);
    free(c);
}

void *crew_claim(struct crew *c)
{
    if (c->submitted - c->released == (unsigned long)c->n)
        return NULL;
    return c->slots[c->submitted % (unsigned long)c->n];
}

void crew_submit(struct crew *c)
{
    size_t i = c->submitted % (unsigned long)c->n;
    if (c->tool) {
        c->job.work(c->slots[i], c->tool);
        c->done[i] = true;
        c->submitted++;
        c->taken++;
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->done[i] = false;
    c->submitted++;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
}

void *crew_collect(struct crew *c)
{
    if (c->released == c->submitted)
        return NULL;
    size_t i = c->released % (unsigned long)c->n;
    pthread_mutex_lock(&c->lock);
    while (!c->done[i])
        pthread_cond_wait(&c->result, &c->lock);
    pthread_mutex_unlock(&c->lock);
    return c->slots[i];
}

void crew_release(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->done[c->released++ % (unsigned long)c->n] = false;
    pthread_mutex_unlock(&c->lock);
}
