/* SPDX-License-Identifier: BSD-3-Clause */
/* init.c - see init.h */
#include "mpi/init.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/guard.h"
#include "mpi/bind.h"

/* Has fastimport initialised MPI? */
enum ours { NOT_OURS, OPENING, OURS };
/* What the program has called: nothing, MPI_Init, MPI_Finalize. */
enum program { BEFORE, RUNNING, FINALIZED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum ours ours;                        /* lock */
    enum program program;                  /* lock */
    bool has_main;                         /* lock */
    pthread_t main;                        /* lock: the thread that called MPI_Init */
    int provided;                          /* lock: the thread level */
    void (*end)(void);                     /* init_at_finalize() */
    void (*foreign)(const void *function); /* init_at_foreign() */
    void (*_Atomic join)(void);            /* init_join_late(); NULL once called */
    const void *_Atomic asked;             /* the function by which the program asked for MPI */
} own = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set_ours(enum ours ours, int provided)
{
    pthread_mutex_lock(&own.lock);
    own.ours = ours;
    own.provided = provided;
    pthread_cond_broadcast(&own.changed);
    pthread_mutex_unlock(&own.lock);
}

int init_open(void)
{
    int provided = MPI_THREAD_SINGLE;
    int e;

    set_ours(OPENING, provided);
    e = mpi.Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    set_ours(e == MPI_SUCCESS ? OURS : NOT_OURS, provided);
    return e == MPI_SUCCESS && provided < MPI_THREAD_MULTIPLE ? MPI_ERR_OTHER : e;
}

/* Waits while init_open() is at work in another thread. */
bool init_is_ours(void)
{
    bool ours;

    pthread_mutex_lock(&own.lock);
    while (own.ours == OPENING && !fi_inside()) {
        pthread_cond_wait(&own.changed, &own.lock);
    }
    ours = own.ours == OURS;
    pthread_mutex_unlock(&own.lock);
    return ours;
}

static void note_main_thread(void)
{
    pthread_mutex_lock(&own.lock);
    own.main = pthread_self();
    own.has_main = true;
    pthread_mutex_unlock(&own.lock);
}

/* Changes the program's state if it is `from`. True: it was. */
static bool init_advance(enum program from, enum program to)
{
    bool did;

    pthread_mutex_lock(&own.lock);
    did = own.program == from;
    if (did) {
        own.program = to;
    }
    pthread_mutex_unlock(&own.lock);
    return did;
}

static bool has_reached(enum program state)
{
    bool reached;

    pthread_mutex_lock(&own.lock);
    reached = own.program >= state;
    pthread_mutex_unlock(&own.lock);
    return reached;
}

/* Will the program's calls be answered here? Does not wait for init_open(), which may never return:
 * this is also asked at the exit. */
static bool is_ours_or_opening(void)
{
    bool ours;

    pthread_mutex_lock(&own.lock);
    ours = own.ours != NOT_OURS;
    pthread_mutex_unlock(&own.lock);
    return ours;
}

bool init_program_initialized(void)
{
    int flag = 0;

    if (is_ours_or_opening()) {
        return has_reached(RUNNING);
    }
    return mpi.Initialized != NULL && mpi.Initialized(&flag) == MPI_SUCCESS && flag;
}

bool init_program_finalized(void)
{
    int flag = 0;

    if (is_ours_or_opening()) {
        return has_reached(FINALIZED);
    }
    return mpi.Finalized != NULL && mpi.Finalized(&flag) == MPI_SUCCESS && flag;
}

int init_close(void)
{
    return init_advance(BEFORE, FINALIZED) ? mpi.Finalize() : MPI_SUCCESS;
}

void init_at_finalize(void (*end)(void))
{
    own.end = end;
}

void init_at_foreign(void (*tell)(const void *function))
{
    own.foreign = tell;
}

void init_join_late(void (*join)(void))
{
    atomic_store(&own.join, join);
}

bool init_joins_late(void)
{
    return atomic_load(&own.join) != NULL;
}

/* A call of another MPI library than the bound one does not count. */
bool init_program_asked(void)
{
    const void *function = atomic_load(&own.asked);

    return function != NULL && (!mpi_is_bound() || mpi_owns(function));
}

/* --- what the program calls --- */

static void begin_init(const void *function)
{
    void (*join)(void) = atomic_exchange(&own.join, NULL);

    atomic_store(&own.asked, function);
    if (join != NULL) {
        mpi_prefer(function);
        join();
    }
    if (own.foreign != NULL && mpi_is_bound() && !mpi_owns(function)) {
        own.foreign(function);
    }
}

/* Does fastimport's MPI_Init stand for the program's? If `function` is a profiling library's it
 * does not: that calls PMPI_Init, which comes here again. */
static bool has_done_init(const void *function)
{
    if (!mpi_owns(function)) {
        return false;
    }
    note_main_thread();
    return init_is_ours() && init_advance(BEFORE, RUNNING);
}

int init_init(enum redirected_call call, const void *caller, int *argc, char ***argv)
{
    int (*next)(int *, char ***);

    *(void **)&next = redirect_original(call, caller);
    begin_init((void *)next);
    if (has_done_init((void *)next)) {
        return MPI_SUCCESS;
    }
    return next != NULL ? next(argc, argv) : MPI_ERR_OTHER;
}

int init_init_thread(enum redirected_call call, const void *caller, int *argc, char ***argv,
                     int required, int *provided)
{
    int (*next)(int *, char ***, int, int *);

    *(void **)&next = redirect_original(call, caller);
    begin_init((void *)next);
    if (has_done_init((void *)next)) {
        *provided = own.provided;
        return MPI_SUCCESS;
    }
    return next != NULL ? next(argc, argv, required, provided) : MPI_ERR_OTHER;
}

/* Asks `next` for a flag; without MPI it is 0. */
static int init_ask(int (*next)(int *), int *flag)
{
    if (next != NULL) {
        return next(flag);
    }
    *flag = 0;
    return MPI_SUCCESS;
}

int init_initialized(enum redirected_call call, const void *caller, int *flag)
{
    int (*next)(int *);

    *(void **)&next = redirect_original(call, caller);
    if (!init_is_ours() || !mpi_owns((void *)next)) {
        return init_ask(next, flag);
    }
    *flag = init_program_initialized();
    return MPI_SUCCESS;
}

int init_finalized(enum redirected_call call, const void *caller, int *flag)
{
    int (*next)(int *);

    *(void **)&next = redirect_original(call, caller);
    if (!init_is_ours() || !mpi_owns((void *)next)) {
        return init_ask(next, flag);
    }
    *flag = init_program_finalized();
    return MPI_SUCCESS;
}

int init_is_thread_main(enum redirected_call call, const void *caller, int *flag)
{
    int (*next)(int *);
    bool known, is_main;

    *(void **)&next = redirect_original(call, caller);
    pthread_mutex_lock(&own.lock);
    known = own.has_main;
    is_main = known && pthread_equal(own.main, pthread_self());
    pthread_mutex_unlock(&own.lock);
    if (!known || !mpi_owns((void *)next)) {
        return init_ask(next, flag);
    }
    *flag = is_main;
    return MPI_SUCCESS;
}

int init_finalize(enum redirected_call call, const void *caller)
{
    int (*next)(void);
    int e;

    *(void **)&next = redirect_original(call, caller);
    if (next == NULL) {
        return MPI_ERR_OTHER;
    }
    /* a profiling library's, which calls PMPI_Finalize, or another MPI's */
    if (!mpi_owns((void *)next)) {
        return next();
    }
    if (init_is_ours() && !init_program_initialized()) {
        return MPI_ERR_OTHER;
    }
    if (own.end != NULL) {
        own.end();
    }
    e = next();
    init_advance(RUNNING, FINALIZED);
    return e;
}
