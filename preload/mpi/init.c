/* init.c - see init.h */
#include "mpi/init.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/guard.h"
#include "mpi/bind.h"

enum ours { NOT_OURS, OPENING, OURS };
enum program { BEFORE, RUNNING, FINALIZED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum ours ours;       /* lock */
    enum program program; /* lock */
    bool has_main;        /* lock */
    pthread_t main;       /* lock: the thread that called MPI_Init */
    int provided;         /* lock */
    void (*end)(void);
    void (*_Atomic join)(void);
    _Atomic bool asked;
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

/* Waits until it is known. */
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

/* Goes from one state to the other, unless the program is in another. */
static bool advance(enum program from, enum program to)
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

/* While MPI is being opened by us the program's own MPI_Init waits. Does not wait itself: at the
 * exit the opening may never come to its end. */
static bool is_ours_or_becomes(void)
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

    if (is_ours_or_becomes()) {
        return has_reached(RUNNING);
    }
    return mpi.Initialized != NULL && mpi.Initialized(&flag) == MPI_SUCCESS && flag;
}

bool init_program_finalized(void)
{
    int flag = 0;

    if (is_ours_or_becomes()) {
        return has_reached(FINALIZED);
    }
    return mpi.Finalized != NULL && mpi.Finalized(&flag) == MPI_SUCCESS && flag;
}

int init_close(void)
{
    return advance(BEFORE, FINALIZED) ? mpi.Finalize() : MPI_SUCCESS;
}

void init_at_finalize(void (*end)(void))
{
    own.end = end;
}

void init_join_late(void (*join)(void))
{
    atomic_store(&own.join, join);
}

bool init_joins_late(void)
{
    return atomic_load(&own.join) != NULL;
}

bool init_program_asked(void)
{
    return atomic_load(&own.asked);
}

static void begin_init(void)
{
    void (*join)(void) = atomic_exchange(&own.join, NULL);

    atomic_store(&own.asked, true);
    if (join != NULL) {
        join();
    }
}

/* --- what the program calls ------------------------------------------------------------------ */

/* Behind us in the global scope, or in an MPI library that the program opened for itself. */
static void *next_function(struct init_name *name)
{
    void *function = __atomic_load_n(&name->next, __ATOMIC_RELAXED);

    if (function == NULL) {
        function = dlsym(RTLD_NEXT, name->name);
        if (function == NULL) {
            function = mpi_function(name->name);
        }
        __atomic_store_n(&name->next, function, __ATOMIC_RELAXED);
    }
    return function;
}

/* A profiling library wants to see the call; it will call the PMPI_ name, and so come back. */
static bool is_profiler(const struct init_name *name, const void *function)
{
    return function != NULL && name->name[0] == 'M' && function != mpi_function(name->name);
}

/* The program's MPI_Init: ours has done the work. */
static bool takes_ours(const struct init_name *name, const void *next)
{
    note_main_thread();
    return init_is_ours() && !is_profiler(name, next) && advance(BEFORE, RUNNING);
}

int init_init(struct init_name *name, int *argc, char ***argv)
{
    int (*next)(int *, char ***);

    begin_init();
    *(void **)&next = next_function(name);
    if (takes_ours(name, (void *)next)) {
        return MPI_SUCCESS;
    }
    return next != NULL ? next(argc, argv) : MPI_ERR_OTHER;
}

int init_init_thread(struct init_name *name, int *argc, char ***argv, int required, int *provided)
{
    int (*next)(int *, char ***, int, int *);

    begin_init();
    *(void **)&next = next_function(name);
    if (takes_ours(name, (void *)next)) {
        *provided = own.provided;
        return MPI_SUCCESS;
    }
    return next != NULL ? next(argc, argv, required, provided) : MPI_ERR_OTHER;
}

/* A question whose answer is a flag; without MPI it is no. */
static int ask_next(struct init_name *name, int *flag)
{
    int (*next)(int *);

    *(void **)&next = next_function(name);
    if (next != NULL) {
        return next(flag);
    }
    *flag = 0;
    return MPI_SUCCESS;
}

int init_initialized(struct init_name *name, int *flag)
{
    if (!init_is_ours()) {
        return ask_next(name, flag);
    }
    *flag = init_program_initialized();
    return MPI_SUCCESS;
}

int init_finalized(struct init_name *name, int *flag)
{
    if (!init_is_ours()) {
        return ask_next(name, flag);
    }
    *flag = init_program_finalized();
    return MPI_SUCCESS;
}

int init_is_thread_main(struct init_name *name, int *flag)
{
    bool known;

    pthread_mutex_lock(&own.lock);
    known = own.has_main;
    *flag = known && pthread_equal(own.main, pthread_self());
    pthread_mutex_unlock(&own.lock);
    return known ? MPI_SUCCESS : ask_next(name, flag);
}

int init_finalize(struct init_name *name)
{
    int (*next)(void);
    int e;

    *(void **)&next = next_function(name);
    if (next == NULL) {
        return MPI_ERR_OTHER;
    }
    if (is_profiler(name, (void *)next)) {
        return next();
    }
    if (init_is_ours() && !init_program_initialized()) {
        return MPI_ERR_OTHER;
    }
    if (own.end != NULL) {
        own.end();
    }
    e = next();
    advance(RUNNING, FINALIZED);
    return e;
}
