/* work.c - see work.h */
#include "service/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "base/view.h"

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
    struct item *first[WORK_QUEUES]; /* lock */
    struct item **last[WORK_QUEUES]; /* lock */
    int busy;                        /* lock: threads at work */
    bool library_busy;               /* lock */
    bool running;                    /* lock: there are threads */
    bool stopping;                   /* lock */
    struct fill *fill;
    bool view_kept;         /* by the service thread, whose directories the helpers share */
    struct item pool[POOL]; /* lock */
    char pool_path[POOL][POOL_PATH];
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static const uint8_t flags_of_queue[WORK_QUEUES] = {
    [WORK_REQUEST] = RECORD_BY_REQUEST,
    [WORK_LIBRARY] = RECORD_PLANNED,
    [WORK_PLAN] = RECORD_PLANNED,
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

static struct item *allocate(size_t path_length)
{
    struct item *item = malloc(sizeof *item + path_length + 1);

    if (item != NULL) {
        item->path = (char *)(item + 1);
    }
    return item;
}

/* With the lock held. */
static void release(struct item *item)
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
static enum work_queue choose(void)
{
    if (work.first[WORK_AHEAD] != NULL) {
        return WORK_AHEAD;
    }
    if (work.stopping) { /* what was claimed is unclaimed above; nobody wants the rest */
        return WORK_QUEUES;
    }
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
    view_kept = work.view_kept;
    pthread_mutex_lock(&work.lock);
    while ((item = take(&queue)) != NULL) {
        struct fi_query q = query_make(item->kind, item->argument, item->path, item->length);

        pthread_mutex_unlock(&work.lock);
        if (queue == WORK_AHEAD) {
            fill_claimed(work.fill, &q);
        } else {
            fill_for_others(work.fill, &q, flags_of_queue[queue]);
        }
        pthread_mutex_lock(&work.lock);
        release(item);
        done(queue);
    }
    pthread_mutex_unlock(&work.lock);
    return NULL;
}

void work_start(struct fill *fill, int threads)
{
    pthread_t thread;
    bool running = false;

    work.fill = fill;
    work.view_kept = view_kept;
    for (int i = 0; i < WORK_QUEUES; i++) {
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
static void append(enum work_queue queue, struct item *item)
{
    *work.last[queue] = item;
    work.last[queue] = &item->next;
    pthread_cond_signal(&work.arrived);
}

bool work_put(enum work_queue queue, const struct fi_query *q)
{
    struct item *item = queue == WORK_AHEAD ? NULL : allocate(q->length);
    bool taken;

    pthread_mutex_lock(&work.lock);
    if (queue == WORK_AHEAD) {
        item = take_from_pool(q->length);
    }
    taken = item != NULL && work.running && !work.stopping;
    if (taken) {
        fill_in(item, q);
        append(queue, item);
    } else if (item != NULL) {
        release(item);
    }
    pthread_mutex_unlock(&work.lock);
    return taken;
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
