/* work.c - see work.h */
#include "service/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"

struct item {
    struct item *next;
    enum record_kind kind;
    uint64_t argument;
    size_t length;
    char path[];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct item *first; /* lock */
    struct item **last; /* lock */
    int busy;           /* lock: threads at work */
    bool stopping;      /* lock */
    struct fill *fill;
    int wanted;
    int running; /* service thread only */
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static struct item *take(void)
{
    struct item *item;

    while (work.first == NULL && !work.stopping) {
        pthread_cond_wait(&work.arrived, &work.lock);
    }
    item = work.first;
    if (item != NULL) {
        work.first = item->next;
        if (work.first == NULL) {
            work.last = &work.first;
        }
        work.busy++;
    }
    return item;
}

static void *helper(void *unused)
{
    struct item *item;

    (void)unused;
    fi_enter();
    pthread_mutex_lock(&work.lock);
    while ((item = take()) != NULL) {
        struct fi_query q = query_make(item->kind, item->argument, item->path, item->length);

        pthread_mutex_unlock(&work.lock);
        fill_for_others(work.fill, &q);
        free(item);
        pthread_mutex_lock(&work.lock);
        work.busy--;
    }
    pthread_mutex_unlock(&work.lock);
    return NULL;
}

void work_start(struct fill *fill, int threads)
{
    work.fill = fill;
    work.wanted = threads;
    work.last = &work.first;
}

static void start_threads(void)
{
    pthread_t thread;

    while (work.running < work.wanted && pthread_create(&thread, NULL, helper, NULL) == 0) {
        pthread_detach(thread);
        work.running++;
    }
}

void work_put(const struct fi_query *q)
{
    struct item *item = malloc(sizeof *item + q->length + 1);

    if (item == NULL) {
        return;
    }
    *item = (struct item){NULL, q->kind, q->argument, q->length};
    memcpy(item->path, q->path, q->length);
    item->path[q->length] = '\0';
    start_threads();
    pthread_mutex_lock(&work.lock);
    *work.last = item;
    work.last = &item->next;
    pthread_cond_signal(&work.arrived);
    pthread_mutex_unlock(&work.lock);
}

bool work_idle(void)
{
    bool idle;

    pthread_mutex_lock(&work.lock);
    idle = work.first == NULL && work.busy == 0;
    pthread_mutex_unlock(&work.lock);
    return idle;
}

void work_stop(void)
{
    pthread_mutex_lock(&work.lock);
    work.stopping = true;
    pthread_cond_broadcast(&work.arrived);
    pthread_mutex_unlock(&work.lock);
}
