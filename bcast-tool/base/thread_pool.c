/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/thread_pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/io.h"

/* The slots are used in turn. The counters only grow: released <= taken <= submitted. */
struct thread_pool {
    struct thread_pool_work work;
    void **slots;
    bool *done;
    int n;
    void *tool; /* NULL if there are threads */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t submission, result;
    unsigned long submitted, taken, released; /* under lock */
    bool stop;                                /* under lock */
};

static void *thread_pool_worker(void *arg)
{
    struct thread_pool *pool = arg;
    void *tool = pool->work.tool_new(pool->work.context);
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->taken == pool->submitted && !pool->stop) {
            pthread_cond_wait(&pool->submission, &pool->lock);
        }
        if (pool->taken == pool->submitted) {
            break;
        }
        size_t i = pool->taken++ % (unsigned long)pool->n;
        pthread_mutex_unlock(&pool->lock);
        pool->work.work(pool->slots[i], tool);
        pthread_mutex_lock(&pool->lock);
        pool->done[i] = true;
        pthread_cond_signal(&pool->result);
    }
    pthread_mutex_unlock(&pool->lock);
    pool->work.tool_free(tool);
    return NULL;
}

/* A thread that cannot be started is no error: the pool works with those that were, or with none.
 */
static void thread_pool_start(struct thread_pool *pool)
{
    int want = pool->work.threads;
    pool->threads = io_alloc((size_t)(want + 1) * sizeof *pool->threads);
    for (pool->work.threads = 0; pool->work.threads < want; pool->work.threads++) {
        if (pthread_create(&pool->threads[pool->work.threads], NULL, thread_pool_worker, pool) !=
            0) {
            break;
        }
    }
    if (pool->work.threads == 0) {
        pool->tool = pool->work.tool_new(pool->work.context);
    }
}

struct thread_pool *thread_pool_new(const struct thread_pool_work *work, void **slots, int n)
{
    struct thread_pool *pool = io_alloc(sizeof *pool);
    pool->work = *work;
    pool->slots = slots;
    pool->n = n;
    pool->done = io_alloc((size_t)n * sizeof *pool->done);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->submission, NULL);
    pthread_cond_init(&pool->result, NULL);
    thread_pool_start(pool);
    return pool;
}

void thread_pool_free(struct thread_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->submission);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->work.threads; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    if (pool->tool != NULL) {
        pool->work.tool_free(pool->tool);
    }
    pthread_cond_destroy(&pool->submission);
    pthread_cond_destroy(&pool->result);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool->done);
    free(pool);
}

void *thread_pool_claim(struct thread_pool *pool)
{
    if (pool->submitted - pool->released == (unsigned long)pool->n) {
        return NULL;
    }
    return pool->slots[pool->submitted % (unsigned long)pool->n];
}

void thread_pool_submit(struct thread_pool *pool)
{
    size_t i = pool->submitted % (unsigned long)pool->n;
    if (pool->tool != NULL) {
        pool->work.work(pool->slots[i], pool->tool);
        pool->done[i] = true;
        pool->submitted++;
        pool->taken++;
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->done[i] = false;
    pool->submitted++;
    pthread_cond_signal(&pool->submission);
    pthread_mutex_unlock(&pool->lock);
}

void *thread_pool_collect(struct thread_pool *pool)
{
    if (pool->released == pool->submitted) {
        return NULL;
    }
    size_t i = pool->released % (unsigned long)pool->n;
    pthread_mutex_lock(&pool->lock);
    while (!pool->done[i]) {
        pthread_cond_wait(&pool->result, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return pool->slots[i];
}

void thread_pool_release(struct thread_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->done[pool->released++ % (unsigned long)pool->n] = false;
    pthread_mutex_unlock(&pool->lock);
}
