/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

enum { TAG_FAILED = 1 }; /* of the notes that a leader has failed */

struct header {
    uint32_t kind, used;
    uint64_t number;
};

/* Chunk number i is in slot i % CHANNEL_WINDOW. The counters say how many chunks have been, at
 * leader 0: produced (`ready`), broadcast (`moved`), consumed here; at other leaders: received
 * (`ready` and `moved`), consumed. The producer puts CHANNEL_WINDOW - 1 empty chunks behind the
 * last one: another leader may have posted so many broadcasts more when it learns of the end. */
struct channel {
    const struct nodes *nodes;
    bool root;
    int allowed;
    uint8_t *slots[CHANNEL_WINDOW];
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint64_t ready, moved, consumed; /* under lock */
    uint64_t total;                  /* under lock; number of all chunks, 0 while it is not known */
    bool stop;                       /* under lock */
    _Atomic bool failed;             /* this node has failed */
    uint64_t posted;                 /* for the MPI thread alone, as all that follows */
    MPI_Request requests[CHANNEL_WINDOW];
    uint64_t notes_sent, notes_taken;
};

struct channel *channel_new(const struct nodes *n, int allowed)
{
    struct channel *c = io_alloc(sizeof *c);
    c->nodes = n;
    c->root = n->leader == 0;
    c->allowed = allowed;
    for (int i = 0; i < CHANNEL_WINDOW; i++) {
        c->slots[i] = io_alloc(CHANNEL_CHUNK);
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->change, NULL);
    return c;
}

void channel_free(struct channel *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < CHANNEL_WINDOW; i++) {
        free(c->slots[i]);
    }
    pthread_cond_destroy(&c->change);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct header *channel_header(struct channel *c, uint64_t number)
{
    return (struct header *)c->slots[number % CHANNEL_WINDOW];
}

static uint64_t channel_freed(const struct channel *c)
{
    return c->moved < c->consumed ? c->moved : c->consumed;
}

static uint8_t *channel_wait_for_room(struct channel *c, bool regardless)
{
    pthread_mutex_lock(&c->lock);
    while (c->ready - channel_freed(c) == CHANNEL_WINDOW && (regardless || !c->stop)) {
        pthread_cond_wait(&c->change, &c->lock);
    }
    bool stop = c->stop && !regardless;
    pthread_mutex_unlock(&c->lock);
    return stop ? NULL : (uint8_t *)channel_header(c, c->ready) + sizeof(struct header);
}

uint8_t *channel_claim(struct channel *c, size_t *room)
{
    *room = CHANNEL_CHUNK - sizeof(struct header);
    return channel_wait_for_room(c, false);
}

static void channel_publish_one(struct channel *c, enum chunk_kind kind, size_t used)
{
    *channel_header(c, c->ready) = (struct header){kind, (uint32_t)used, c->ready};
    pthread_mutex_lock(&c->lock);
    c->ready++;
    if (kind == CHUNK_END || kind == CHUNK_ABORT) {
        c->total = c->ready + CHANNEL_WINDOW - 1;
    }
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
}

void channel_publish(struct channel *c, enum chunk_kind kind, size_t used)
{
    channel_publish_one(c, kind, used);
    if (kind != CHUNK_END && kind != CHUNK_ABORT) {
        return;
    }
    for (int i = 1; i < CHANNEL_WINDOW; i++) {
        channel_wait_for_room(c, true);
        channel_publish_one(c, CHUNK_PAD, 0);
    }
}

void channel_abort(struct channel *c, const char *reason)
{
    uint8_t *room = channel_wait_for_room(c, true);
    size_t n = strnlen(reason, CHANNEL_CHUNK / 2);
    memcpy(room, reason, n);
    room[n] = '\0';
    channel_publish(c, CHUNK_ABORT, n + 1);
}

enum chunk_kind channel_take(struct channel *c, const uint8_t **data, size_t *n)
{
    pthread_mutex_lock(&c->lock);
    while (c->ready == c->consumed) {
        pthread_cond_wait(&c->change, &c->lock);
    }
    struct header *h = channel_header(c, c->consumed);
    pthread_mutex_unlock(&c->lock);
    *data = (uint8_t *)h + sizeof *h;
    *n = h->used;
    return (enum chunk_kind)h->kind;
}

void channel_release(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    c->consumed++;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
}

void channel_fail(struct channel *c)
{
    atomic_store(&c->failed, true);
}

void channel_stop(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
}

/* The number of chunks that may be posted by now. */
static uint64_t channel_postable(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t limit = c->root ? c->ready : c->consumed + CHANNEL_WINDOW;
    if (c->total && limit > c->total) {
        limit = c->total;
    }
    pthread_mutex_unlock(&c->lock);
    return limit;
}

static bool channel_post(struct channel *c)
{
    bool any = false;
    for (uint64_t limit = channel_postable(c); c->posted < limit; c->posted++) {
        size_t i = c->posted % CHANNEL_WINDOW;
        c->requests[i] = MPI_REQUEST_NULL;
        if (c->nodes->n > 1) {
            nodes_begin_share(c->nodes->leaders, c->slots[i], CHANNEL_CHUNK, &c->requests[i]);
        }
        any = true;
    }
    return any;
}

/* The chunk that was posted first has moved: wakes the threads. */
static void channel_advance(struct channel *c)
{
    struct header *h = channel_header(c, c->moved);
    pthread_mutex_lock(&c->lock);
    if (!c->root) {
        c->ready++;
        if (h->kind == CHUNK_END || h->kind == CHUNK_ABORT) {
            c->total = c->ready + CHANNEL_WINDOW - 1;
        }
    }
    c->moved++;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
}

static bool channel_test(struct channel *c)
{
    int done = 0;
    if (c->moved == c->posted) {
        return false;
    }
    mpi_call.Test(&c->requests[c->moved % CHANNEL_WINDOW], &done, MPI_STATUS_IGNORE);
    if (done) {
        channel_advance(c);
    }
    return done;
}

static void channel_send_note(struct channel *c)
{
    c->notes_sent = 1;
    mpi_call.Send(
        NULL, 0, MPI_BYTE, 0, TAG_FAILED,
        c->nodes->leaders); /* an empty message: MPI_Send() does not wait for its receiver */
}

static void channel_take_note(struct channel *c)
{
    mpi_call.Recv(NULL, 0, MPI_BYTE, MPI_ANY_SOURCE, TAG_FAILED, c->nodes->leaders,
                  MPI_STATUS_IGNORE);
    c->notes_taken++;
}

static void channel_watch_failures(struct channel *c)
{
    int there = 0;
    bool failed = atomic_load(&c->failed);
    if (failed && !c->notes_sent && !c->root) {
        channel_send_note(c);
    }
    if (!c->root) {
        return;
    }
    mpi_call.Iprobe(MPI_ANY_SOURCE, TAG_FAILED, c->nodes->leaders, &there, MPI_STATUS_IGNORE);
    if (there) {
        channel_take_note(c);
    }
    if (c->notes_taken + failed > (uint64_t)c->allowed) {
        channel_stop(c);
    }
}

static bool channel_is_finished(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    bool all = c->total && c->moved == c->total && c->consumed >= c->total - (CHANNEL_WINDOW - 1);
    pthread_mutex_unlock(&c->lock);
    return all;
}

/* Microseconds. Each look at the requests runs MPI's progress engine, on a core that the node needs
 * for unpacking. With several chunks in flight a late look delays nobody. */
enum { NAP_MIN = 500, NAP_MAX = 2000 };

void channel_pump(struct channel *c, void (*tick)(void *), void *context)
{
    unsigned nap = NAP_MIN;
    while (!channel_is_finished(c)) {
        bool posted = channel_post(c), busy = channel_test(c) || posted;
        channel_watch_failures(c);
        if (busy) {
            nap = NAP_MIN;
            continue;
        }
        tick(context);
        io_nap(nap);
        nap = nap < NAP_MAX ? nap * 2 : nap;
    }
}

uint64_t channel_notes_sent(const struct channel *c)
{
    return c->notes_sent;
}

void channel_take_notes(struct channel *c, uint64_t sent)
{
    while (c->notes_taken < sent) {
        channel_take_note(c);
    }
}
