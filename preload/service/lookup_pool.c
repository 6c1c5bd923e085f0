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
    bool busy; /* of the reserve only: in use */
    char *path;
};

/* LOOKUP_PREFETCH is put from inside the program's own calls, some of them in signal handlers,
 * where malloc(3) must not be called. So its items come from this reserve. */
enum { RESERVE = 16, RESERVE_PATH = 512 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct item *first[LOOKUP_QUEUES]; /* lock */
    struct item **last[LOOKUP_QUEUES]; /* lock */
    int busy;                          /* lock: how many threads look something up */
    bool library_busy;                 /* lock: one of them looks a library up */
    bool running;                      /* lock: there are threads */
    bool stopping;                     /* lock */
    struct fill *fill;
    bool fs_view_pinned;          /* by the service thread, whose directories the helpers share */
    struct item reserve[RESERVE]; /* lock */
    char reserve_path[RESERVE][RESERVE_PATH];
} lookups = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static const uint8_t flags_of_queue[LOOKUP_QUEUES] = {
    [LOOKUP_REQUEST] = RECORD_BY_REQUEST,
    [LOOKUP_LIBRARY] = RECORD_PLANNED,
    [LOOKUP_PLAN] = RECORD_PLANNED,
};

static bool is_reserved(const struct item *item)
{
    return item >= lookups.reserve && item < lookups.reserve + RESERVE;
}

/* With the lock held. */
static struct item *take_reserved(size_t path_length)
{
    for (int i = 0; i < RESERVE && path_length < RESERVE_PATH; i++) {
        if (!lookups.reserve[i].busy) {
            lookups.reserve[i].busy = true;
            lookups.reserve[i].path = lookups.reserve_path[i];
            return &lookups.reserve[i];
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
    if (is_reserved(item)) {
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

/* The queue from which a thread may take an item now; LOOKUP_QUEUES: none. */
static enum lookup_queue lookup_pool_choose(void)
{
    if (lookups.first[LOOKUP_PREFETCH] != NULL) {
        return LOOKUP_PREFETCH;
    }
    /* prefetch items hold claims, so they are still done (above); the rest is not needed */
    if (lookups.stopping) {
        return LOOKUP_QUEUES;
    }
    if (lookups.first[LOOKUP_REQUEST] != NULL) {
        return LOOKUP_REQUEST;
    }
    if (lookups.first[LOOKUP_LIBRARY] != NULL && !lookups.library_busy) {
        return LOOKUP_LIBRARY;
    }
    return lookups.first[LOOKUP_PLAN] != NULL ? LOOKUP_PLAN : LOOKUP_QUEUES;
}

/* With the lock held: waits for the next item. NULL: the thread is to end. */
static struct item *lookup_pool_take(enum lookup_queue *queue)
{
    struct item *item;

    while ((*queue = lookup_pool_choose()) == LOOKUP_QUEUES && !lookups.stopping) {
        pthread_cond_wait(&lookups.arrived, &lookups.lock);
    }
    if (*queue == LOOKUP_QUEUES) {
        return NULL;
    }
    item = lookups.first[*queue];
    lookups.first[*queue] = item->next;
    if (item->next == NULL) {
        lookups.last[*queue] = &lookups.first[*queue];
    }
    lookups.busy++;
    lookups.library_busy |= *queue == LOOKUP_LIBRARY;
    return item;
}

/* With the lock held: after a library, another thread may take the next one. */
static void lookup_pool_finish(enum lookup_queue queue)
{
    lookups.busy--;
    if (queue == LOOKUP_LIBRARY) {
        lookups.library_busy = false;
        pthread_cond_signal(&lookups.arrived);
    }
}

static void *lookup_pool_thread(void *unused)
{
    enum lookup_queue queue;
    struct item *item;

    (void)unused;
    fi_enter();
    fs_view_pinned = lookups.fs_view_pinned;
    pthread_mutex_lock(&lookups.lock);
    while ((item = lookup_pool_take(&queue)) != NULL) {
        struct fi_query q = query_make(item->kind, item->argument, item->path, item->length);

        pthread_mutex_unlock(&lookups.lock);
        if (queue == LOOKUP_PREFETCH) {
            fill_and_unclaim(lookups.fill, &q);
        } else {
            fill_for_others(lookups.fill, &q, flags_of_queue[queue]);
        }
        pthread_mutex_lock(&lookups.lock);
        lookup_pool_release(item);
        lookup_pool_finish(queue);
    }
    pthread_mutex_unlock(&lookups.lock);
    return NULL;
}

void lookup_pool_start(struct fill *fill, int threads)
{
    pthread_t thread;
    bool running = false;

    lookups.fill = fill;
    lookups.fs_view_pinned = fs_view_pinned;
    for (int i = 0; i < LOOKUP_QUEUES; i++) {
        lookups.last[i] = &lookups.first[i];
    }
    while (threads-- > 0 && pthread_create(&thread, NULL, lookup_pool_thread, NULL) == 0) {
        pthread_detach(thread);
        running = true;
    }
    pthread_mutex_lock(&lookups.lock);
    lookups.running = running;
    pthread_mutex_unlock(&lookups.lock);
}

/* With the lock held. */
static void lookup_pool_append(enum lookup_queue queue, struct item *item)
{
    *lookups.last[queue] = item;
    lookups.last[queue] = &item->next;
    pthread_cond_signal(&lookups.arrived);
}

bool lookup_pool_put(enum lookup_queue queue, const struct fi_query *q)
{
    struct item *item = queue == LOOKUP_PREFETCH ? NULL : lookup_pool_allocate(q->length);
    bool taken;

    pthread_mutex_lock(&lookups.lock);
    if (queue == LOOKUP_PREFETCH) {
        item = take_reserved(q->length);
    }
    taken = item != NULL && lookups.running && !lookups.stopping;
    if (taken) {
        fill_in(item, q);
        lookup_pool_append(queue, item);
    } else if (item != NULL) {
        lookup_pool_release(item);
    }
    pthread_mutex_unlock(&lookups.lock);
    return taken;
}

bool lookup_pool_idle(void)
{
    bool idle;

    pthread_mutex_lock(&lookups.lock);
    idle = lookups.busy == 0;
    for (int i = 0; i < LOOKUP_QUEUES; i++) {
        idle &= lookups.first[i] == NULL;
    }
    pthread_mutex_unlock(&lookups.lock);
    return idle;
}

void lookup_pool_stop(void)
{
    pthread_mutex_lock(&lookups.lock);
    lookups.stopping = true;
    pthread_cond_broadcast(&lookups.arrived);
    pthread_mutex_unlock(&lookups.lock);
}
