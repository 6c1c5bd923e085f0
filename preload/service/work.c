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
    struct item *first[WORK_QUEUES]; /* lock */
    struct item **last[WORK_QUEUES]; /* lock */
    int busy;                        /* lock: threads at work */
    bool library_busy;               /* lock */
    bool stopping;                   /* lock */
    struct fill *fill;
    int wanted;
    int running; /* service thread only */
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static const uint8_t flags_of_queue[WORK_QUEUES] = {
    [WORK_REQUEST] = RECORD_BY_REQUEST,
    [WORK_LIBRARY] = RECORD_PLANNED,
    [WORK_PLAN] = RECORD_PLANNED,
};

/* A queue that a thread may take from now, or WORK_QUEUES. */
static enum work_queue choose(void)
{
    if (work.first[WORK_REQUEST] != NULL) {
        return WORK_REQUEST;
    }
    if (work.first[WORK_LIBRARY] != NULL && !work.library_busy) {
        return WORK_LIBRARY;
    }
    return work.first[WORK_PLAN] != NULL ? WORK_PLAN : WORK_QUEUES;
}

/* The next item, with the lock held; NULL: it is time to end. */
static struct item *take(enum work_queue *queue)
{
    struct item *item;

    while ((*queue = choose()) == WORK_QUEUES && !work.stopping) {
        pthread_cond_wait(&work.arrived, &work.lock);
    }
    if (*queue == WORK_QUEUES) {
        return NULL;
    }
    item = work.first[*queue];
    work.first[*queue] = item->next;
    if (item->next == NULL) {
        work.last[*queue] = &work.first[*queue];
    }
    work.busy++;
    work.library_busy |= *queue == WORK_LIBRARY;
    return item;
}

/* With the lock held: another thread may go on with the libraries. */
static void done(enum work_queue queue)
{
    work.busy--;
    if (queue == WORK_LIBRARY) {
        work.library_busy = false;
        pthread_cond_signal(&work.arrived);
    }
}

static void *helper(void *unused)
{
    enum work_queue queue;
    struct item *item;

    (void)unused;
    fi_enter();
    pthread_mutex_lock(&work.lock);
    while ((item = take(&queue)) != NULL) {
        struct fi_query q = query_make(item->kind, item->argument, item->path, item->length);

        pthread_mutex_unlock(&work.lock);
        fill_for_others(work.fill, &q, flags_of_queue[queue]);
        free(item);
        pthread_mutex_lock(&work.lock);
        done(queue);
    }
    pthread_mutex_unlock(&work.lock);
    return NULL;
}

void work_start(struct fill *fill, int threads)
{
    work.fill = fill;
    work.wanted = threads;
    for (int i = 0; i < WORK_QUEUES; i++) {
        work.last[i] = &work.first[i];
    }
}

static void start_threads(void)
{
    pthread_t thread;

    while (work.running < work.wanted && pthread_create(&thread, NULL, helper, NULL) == 0) {
        pthread_detach(thread);
        work.running++;
    }
}

void work_put(enum work_queue queue, const struct fi_query *q)
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
    *work.last[queue] = item;
    work.last[queue] = &item->next;
    pthread_cond_signal(&work.arrived);
    pthread_mutex_unlock(&work.lock);
}

bool work_idle(void)
{
    bool idle;

    pthread_mutex_lock(&work.lock);
    idle = work.busy == 0;
    for (int i = 0; i < WORK_QUEUES; i++) {
        idle &= work.first[i] == NULL;
    }
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
