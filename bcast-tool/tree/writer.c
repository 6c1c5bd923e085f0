/* SPDX-License-Identifier: BSD-3-Clause */
#include "tree/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/thread_pool.h"

enum { FILES_MAX = 128 }; /* in a batch */

/* A file that is being written. Several threads may write pieces of a large file, in any order.
 * Whoever drops the last reference completes it. */
struct output {
    struct writer *writer;
    struct tree_dir *dir;
    char *name, *path;
    mode_t mode;
    struct timespec mtime;
    uint64_t size; /* final when the caller has dropped its reference */
    bool sparse;
    pthread_mutex_t lock; /* held while the file is opened */
    int fd;               /* -1 until the first piece is written */
    bool bad;             /* under lock */
    _Atomic int users;
};

struct piece {
    struct output *output;
    size_t start, n; /* position and size in the batch's room */
    uint64_t offset; /* position in the file */
};

struct batch {
    char *room;
    size_t used;
    int n;
    struct piece pieces[FILES_MAX];
};

struct writer {
    struct batch *batches[WRITER_BATCHES];
    struct thread_pool *pool; /* NULL: no threads; the caller's data goes straight into the files */
    struct batch *filling;    /* the batch that is being filled, or NULL */
    struct output *output;    /* the file between writer_begin() and writer_end(), or NULL */
    pthread_mutex_t lock;
    struct error error; /* the first error; under lock */
    _Atomic bool failed;
};

static void writer_blame(struct output *o, const char *what)
{
    struct writer *w = o->writer;
    int error = errno;
    pthread_mutex_lock(&w->lock);
    errno = error;
    error_set_errno(&w->error, o->path, what);
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->failed, true);
}

/* The descriptor of the file, which the first caller opens. -1 if the file has failed. */
static int writer_descriptor(struct output *o)
{
    pthread_mutex_lock(&o->lock);
    if (o->fd < 0 && !o->bad) {
        o->fd = openat(tree_dir_fd(o->dir), o->name,
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, o->mode);
        o->bad = o->fd < 0;
        if (o->bad) {
            writer_blame(o,
                         errno == EEXIST ? "the archive holds this name twice" : "cannot create");
        }
    }
    int fd = o->fd;
    pthread_mutex_unlock(&o->lock);
    return fd;
}

static void writer_complete_file(struct output *o)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, o->mtime};
    int fd = writer_descriptor(o);
    if (fd < 0) {
        return;
    }
    if (o->sparse && ftruncate(fd, (off_t)o->size) < 0) {
        writer_blame(o, "cannot set the size");
    }
    if (futimens(fd, times) < 0) {
        writer_blame(o, "cannot set the time");
    }
    if (close(fd) < 0) {
        writer_blame(o, "cannot close");
    }
}

static void writer_drop_file(struct output *o)
{
    if (atomic_fetch_sub(&o->users, 1) != 1) {
        return;
    }
    writer_complete_file(o);
    tree_dir_put(o->dir);
    pthread_mutex_destroy(&o->lock);
    free(o->name);
    free(o->path);
    free(o);
}

static void writer_write_batch(void *slot, void *tool)
{
    (void)tool;
    struct batch *b = slot;
    for (int i = 0; i < b->n; i++) {
        struct piece *p = &b->pieces[i];
        int fd = writer_descriptor(p->output);
        if (fd >= 0 && p->n && io_write(fd, b->room + p->start, p->n, (off_t)p->offset) < 0) {
            writer_blame(p->output, "cannot write");
        }
        writer_drop_file(p->output);
    }
}

static void *writer_no_tool(void *context)
{
    return context;
}

static void writer_free_no_tool(void *tool)
{
    (void)tool;
}

struct writer *writer_new(int threads)
{
    struct writer *w = io_alloc(sizeof *w);
    struct thread_pool_work work = {writer_write_batch, writer_no_tool, writer_free_no_tool, w,
                                    threads};
    pthread_mutex_init(&w->lock, NULL);
    if (threads == 0) {
        return w;
    }
    for (int i = 0; i < WRITER_BATCHES; i++) {
        w->batches[i] = io_alloc(sizeof *w->batches[i]);
        w->batches[i]->room = io_alloc(WRITER_ROOM);
    }
    w->pool = thread_pool_new(&work, (void **)w->batches, WRITER_BATCHES);
    return w;
}

static void writer_submit(struct writer *w)
{
    if (w->filling != NULL) {
        thread_pool_submit(w->pool);
    }
    w->filling = NULL;
}

void writer_free(struct writer *w)
{
    if (w == NULL) {
        return;
    }
    if (w->output != NULL) {
        writer_end(w);
    }
    writer_submit(w);
    thread_pool_free(w->pool);
    for (int i = 0; w->batches[0] != NULL && i < WRITER_BATCHES; i++) {
        free(w->batches[i]->room);
        free(w->batches[i]);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* A batch that has room for one more piece and for at least one byte. */
static struct batch *writer_batch(struct writer *w)
{
    if (w->filling != NULL && (w->filling->n == FILES_MAX || w->filling->used == WRITER_ROOM)) {
        writer_submit(w);
    }
    if (w->filling != NULL) {
        return w->filling;
    }
    while ((w->filling = thread_pool_claim(w->pool)) == NULL) {
        thread_pool_collect(w->pool);
        thread_pool_release(w->pool);
    }
    w->filling->used = 0;
    w->filling->n = 0;
    return w->filling;
}

static struct piece *writer_add_piece(struct writer *w)
{
    struct batch *b = writer_batch(w);
    struct piece *p = &b->pieces[b->n++];
    *p = (struct piece){w->output, b->used, 0, w->output->size};
    atomic_fetch_add(&w->output->users, 1);
    return p;
}

void writer_begin(struct writer *w, struct tree_dir *dir, const char *name, const char *path,
                  mode_t mode, const struct timespec *mtime)
{
    struct output *o = io_alloc(sizeof *o);
    *o = (struct output){
        .writer = w, .dir = tree_dir_get(dir), .mode = mode, .mtime = *mtime, .fd = -1};
    o->name = io_strdup(name);
    o->path = io_strdup(path);
    o->users = 1;
    pthread_mutex_init(&o->lock, NULL);
    w->output = o;
}

/* The piece that the next byte continues; NULL if it is not in the batch that is being filled. */
static struct piece *writer_current_piece(struct writer *w)
{
    struct batch *b = w->filling;
    struct piece *p = b != NULL && b->n ? &b->pieces[b->n - 1] : NULL;
    return p != NULL && p->output == w->output && p->offset + p->n == w->output->size ? p : NULL;
}

static void writer_write_now(struct output *o, const void *data, size_t n)
{
    int fd = writer_descriptor(o);
    if (fd >= 0 && io_write(fd, data, n, (off_t)o->size) < 0) {
        writer_blame(o, "cannot write");
    }
    o->size += n;
}

void writer_data(struct writer *w, const void *data, size_t n)
{
    if (w->pool == NULL) {
        writer_write_now(w->output, data, n);
        return;
    }
    while (n) {
        struct piece *p = writer_current_piece(w);
        if (p == NULL || w->filling->used == WRITER_ROOM) {
            p = writer_add_piece(w);
        }
        struct batch *b = w->filling;
        size_t part = WRITER_ROOM - b->used < n ? WRITER_ROOM - b->used : n;
        memcpy(b->room + b->used, data, part);
        b->used += part;
        p->n += part;
        w->output->size += part;
        data = (const char *)data + part;
        n -= part;
    }
}

void writer_hole(struct writer *w, uint64_t n)
{
    w->output->size += n;
    w->output->sparse = true;
}

void writer_end(struct writer *w)
{
    struct output *o = w->output;
    if (w->pool != NULL && writer_current_piece(w) == NULL) {
        /* A piece without data: a thread of the pool, if possible, drops the last reference. */
        writer_add_piece(w);
    }
    w->output = NULL;
    writer_drop_file(o);
}

int writer_flush(struct writer *w, struct error *err)
{
    writer_submit(w);
    while (w->pool != NULL && thread_pool_collect(w->pool) != NULL) {
        thread_pool_release(w->pool);
    }
    pthread_mutex_lock(&w->lock);
    struct error *own = &w->error;
    int r = own->set ? -1 : 0;
    if (own->set && !err->set) {
        *err = *own;
    }
    pthread_mutex_unlock(&w->lock);
    return r;
}

bool writer_failed(struct writer *w)
{
    return atomic_load(&w->failed);
}
