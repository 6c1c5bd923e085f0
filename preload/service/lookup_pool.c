/* SPDX-License-Identifier: BSD-3-Clause */
/* lookup_pool.c - see lookup_pool.h */
#include "service/lookup_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/guard.h"

struct item {
    struct item *next;
    enum record_kind kind;
    uint64_t argument;
    size_t length;
    bool busy; /* of the pool only */
    char *path;
};

/* WORK_AHEAD comes out of the program's own calls, and some of these out of its signal handlers: no
 * malloc. */
enum { POOL = 16, POOL_PATH = 512 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct item *first[LOOKUP_QUEUES]; /* lock */
    struct item **last[LOOKUP_QUEUES]; /* lock */
    int busy;                          /* lock: threads at work */
    bool library_busy;                 /* lock */
    bool running;                      /* lock: there are threads */
    bool stopping;                     /* lock */
    struct fill *fill;
    bool fs_view_kept;      /* by the service thread, whose directories the helpers share */
    struct item pool[POOL]; /* lock */
    char pool_path[POOL][POOL_PATH];
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static const uint8_t flags_of_queue[LOOKUP_QUEUES] = {
    [LOOKUP_REQUEST] = RECORD_BY_REQUEST,
    [LOOKUP_LIBRARY] = RECORD_PLANNED,
    [LOOKUP_PLAN] = RECORD_PLANNED,
};

static bool is_pooled(const struct item *item)
{
    return item >= work.pool && item < work.pool + POOL;
}

/* With the lock held. */
static struct item *take_from_pool(size_t path_length)
{
    for (int i = 0; i < POOL && path_length < POOL_PATH; i++) {
        if (!work.pool[i].busy) {
            work.pool[i].busy = true;
            work.pool[i].path = work.pool_path[i];
            return &work.pool[i];
        }
    }
    return NULL;
}

static struct item *lookup_pool_allocate(size_t path_length)
{
    struct item *item = malloc(sizeof *item + path_length + 1);

    if (item != NULL) {
        item->path = (char *)(item + 1);
    }
    return item;
}

/* With the lock held. */
static void lookup_pool_release(struct item *item)
{
    if (is_pooled(item)) {
        item->busy = false;
    } else {
        free(item);
    }
}

static void fill_in(struct item *item, const struct fi_query *q)
{
    item->next = NULL;
    item->kind = q->kind;
    item->argument = q->argument;
    item->length = q->length;
    memcpy(item->path, q->path, q->length);
    item->path[q->length] = '\0';
}

/* A queue that a thread may take from now, or WORK_QUEUES. */
static enum lookup_queue lookup_pool_choose(void)
{
    if (work.first[LOOKUP_PREFETCH] != NULL) {
        return LOOKUP_PREFETCH;
    }
    if (work.stopping) { /* what was claimed is unclaimed above; nobody wants the rest */
        return LOOKUP_QUEUES;
    }
    if (work.first[LOOKUP_REQUEST] != NULL) {
        return LOOKUP_REQUEST;
    }
    if (work.first[LOOKUP_LIBRARY] != NULL && !work.library_busy) {
        return LOOKUP_LIBRARY;
    }
    return work.first[LOOKUP_PLAN] != NULL ? LOOKUP_PLAN : LOOKUP_QUEUES;
}

/* The next item, with the lock held; NULL: it is time to end. */
static struct item *lookup_pool_take(enum lookup_queue *queue)
{
    struct item *item;

    while ((*queue = lookup_pool_choose()) == LOOKUP_QUEUES && !work.stopping) {
        pthread_cond_wait(&work.arrived, &work.lock);
    }
    if (*queue == LOOKUP_QUEUES) {
        return NULL;
    }
    item = work.first[*queue];
    work.first[*queue] = item->next;
    if (item->next == NULL) {
        work.last[*queue] = &work.first[*queue];
    }
    work.busy++;
    work.library_busy |= *queue == LOOKUP_LIBRARY;
    return item;
}

/* With the lock held: another thread may go on with the libraries. */
static void done(enum lookup_queue queue)
{
    work.busy--;
    if (queue == LOOKUP_LIBRARY) {
        work.library_busy = false;
        pthread_cond_signal(&work.arrived);
    }
}

static void *helper(void *unused)
{
    enum lookup_queue queue;
    struct item *item;

    (void)unused;
    fi_enter();
    fs_view_kept = work.fs_view_kept;
    pthread_mutex_lock(&work.lock);
    while ((item = lookup_pool_take(&queue)) != NULL) {
        struct fi_query q = query_make(item->kind, item->argument, item->path, item->length);

        pthread_mutex_unlock(&work.lock);
        if (queue == LOOKUP_PREFETCH) {
            fill_claimed(work.fill, &q);
        } else {
            fill_for_others(work.fill, &q, flags_of_queue[queue]);
        }
        pthread_mutex_lock(&work.lock);
        lookup_pool_release(item);
        done(queue);
    }
    pthread_mutex_unlock(&work.lock);
    return NULL;
}

void lookup_pool_start(struct fill *fill, int threads)
{
    pthread_t thread;
    bool running = false;

    work.fill = fill;
    work.fs_view_kept = fs_view_kept;
    for (int i = 0; i < LOOKUP_QUEUES; i++) {
        work.last[i] = &work.first[i];
    }
    while (threads-- > 0 && pthread_create(&thread, NULL, helper, NULL) == 0) {
        pthread_detach(thread);
        running = true;
    }
    pthread_mutex_lock(&work.lock);
    work.running = running;
    pthread_mutex_unlock(&work.lock);
}

/* With the lock held. */
static void lookup_pool_append(enum lookup_queue queue, struct item *item)
{
    *work.last[queue] = item;
    work.last[queue] = &item->next;
    pthread_cond_signal(&work.arrived);
}

bool lookup_pool_put(enum lookup_queue queue, const struct fi_query *q)
{
    struct item *item = queue == LOOKUP_PREFETCH ? NULL : lookup_pool_allocate(q->length);
    bool taken;

    pthread_mutex_lock(&work.lock);
    if (queue == LOOKUP_PREFETCH) {
        item = take_from_pool(q->length);
    }
    taken = item != NULL && work.running && !work.stopping;
    if (taken) {
        fill_in(item, q);
        lookup_pool_append(queue, item);
    } else if (item != NULL) {
        lookup_pool_release(item);
    }
    pthread_mutex_unlock(&work.lock);
    return taken;
}

bool lookup_pool_idle(void)
{
    bool idle;

    pthread_mutex_lock(&work.lock);
    idle = work.busy == 0;
    for (int i = 0; i < LOOKUP_QUEUES; i++) {
        idle &= work.first[i] == NULL;
    }
    pthread_mutex_unlock(&work.lock);
    return idle;
}

void lookup_pool_stop(void)
{
    pthread_mutex_lock(&work.lock);
    work.stopping = true;
    pthread_cond_broadcast(&work.arrived);
    pthread_mutex_unlock(&work.lock);
}
