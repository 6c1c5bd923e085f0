#include "base/thread_pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/io.h"

/* Slots are used round robin; the counters only grow: released <= taken <= submitted. */
struct thread_pool {
    struct thread_pool_work work;
    void **slots;
    bool *done;
    int n;
    void *tool; /* when there are no threads */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t submission, result;
    unsigned long submitted, taken, released; /* under lock */
    bool stop;                                /* under lock */
};

static void *thread_pool_worker(void *arg)
{
    struct thread_pool *c = arg;
    void *tool = c->work.tool_new(c->work.context);
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (c->taken == c->submitted && !c->stop) {
            pthread_cond_wait(&c->submission, &c->lock);
        }
        if (c->taken == c->submitted) {
            break;
        }
        size_t i = c->taken++ % (unsigned long)c->n;
        pthread_mutex_unlock(&c->lock);
        c->work.work(c->slots[i], tool);
        pthread_mutex_lock(&c->lock);
        c->done[i] = true;
        pthread_cond_signal(&c->result);
    }
    pthread_mutex_unlock(&c->lock);
    c->work.tool_free(tool);
    return NULL;
}

/* Threads that cannot be started are done without. */
static void thread_pool_start(struct thread_pool *c)
{
    int want = c->work.threads;
    c->threads = io_alloc((size_t)(want + 1) * sizeof *c->threads);
    for (c->work.threads = 0; c->work.threads < want; c->work.threads++) {
        if (pthread_create(&c->threads[c->work.threads], NULL, thread_pool_worker, c) != 0) {
            break;
        }
    }
    if (c->work.threads == 0) {
        c->tool = c->work.tool_new(c->work.context);
    }
}

struct thread_pool *thread_pool_new(const struct thread_pool_work *work, void **slots, int n)
{
    struct thread_pool *c = io_alloc(sizeof *c);
    c->work = *work;
    c->slots = slots;
    c->n = n;
    c->done = io_alloc((size_t)n * sizeof *c->done);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->submission, NULL);
    pthread_cond_init(&c->result, NULL);
    thread_pool_start(c);
    return c;
}

void thread_pool_free(struct thread_pool *c)
{
    if (c == NULL) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->submission);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < c->work.threads; i++) {
        pthread_join(c->threads[i], NULL);
    }
    if (c->tool != NULL) {
        c->work.tool_free(c->tool);
    }
    pthread_cond_destroy(&c->submission);
    pthread_cond_destroy(&c->result);
    pthread_mutex_destroy(&c->lock);
    free(c->threads);
    free(c->done);
    free(c);
}

void *thread_pool_claim(struct thread_pool *c)
{
    if (c->submitted - c->released == (unsigned long)c->n) {
        return NULL;
    }
    return c->slots[c->submitted % (unsigned long)c->n];
}

void thread_pool_submit(struct thread_pool *c)
{
    size_t i = c->submitted % (unsigned long)c->n;
    if (c->tool != NULL) {
        c->work.work(c->slots[i], c->tool);
        c->done[i] = true;
        c->submitted++;
        c->taken++;
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->done[i] = false;
    c->submitted++;
    pthread_cond_signal(&c->submission);
    pthread_mutex_unlock(&c->lock);
}

void *thread_pool_collect(struct thread_pool *c)
{
    if (c->released == c->submitted) {
        return NULL;
    }
    size_t i = c->released % (unsigned long)c->n;
    pthread_mutex_lock(&c->lock);
    while (!c->done[i]) {
        pthread_cond_wait(&c->result, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return c->slots[i];
}

void thread_pool_release(struct thread_pool *c)
{
    pthread_mutex_lock(&c->lock);
    c->done[c->released++ % (unsigned long)c->n] = false;
    pthread_mutex_unlock(&c->lock);
}
