#include "stage/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "stage/channel.h"
#include "stage/feed.h"
#include "stage/intake.h"
#include "stage/job.h"
#include "stage/place.h"
#include "stage/unpack.h"

#define WRITERS_MAX   4
#define DECODERS_MAX  6
#define DEFAULT_BYTES ((uint64_t)8 << 30)
#define DEFAULT_FILES ((uint64_t)10000000)
#define DEFAULT_RATIO 64
#define FATAL         ((uint64_t)1 << 32) /* in a report's value: no number of allowed failures helps */

struct run {
    struct nodes *nodes;
    struct guardian *guardian;
    const struct stage_options *o;
    struct stage_result *result;
    struct job job;
    struct place place;
    struct channel *channel;
    struct fault fault;  /* this node's, main thread */
    struct fault unpack; /* this node's, consumer thread */
    bool intact;         /* DIR is already what it should be */
    bool active;         /* the consumer unpacks */
    bool fatal;
    double start;
    _Atomic uint64_t bytes, files;
    struct feed feed;
};

static volatile sig_atomic_t interrupted;

void stage_interrupt(int signal)
{
    interrupted = signal;
}

int stage_interrupted(void)
{
    return interrupted;
}

/* The node's verdict goes round; true if the job may go on. */
static bool go_on(struct run *r, uint64_t value, struct agreement *a)
{
    struct stage_result *result = r->result;
    if (r->nodes->leader == 0 && !result->reports)
        result->reports = io_alloc((size_t)r->nodes->n * sizeof *result->reports);
    if (interrupted && !r->fault.set)
        fault_set(&r->fault, NULL, "stopped by signal %d", (int)interrupted);
    agree(r->nodes, &r->fault, value | (r->fatal ? FATAL : 0), result->reports, a);
    result->failed = a->failed;
    if (a->failed)
        result->first = a->first;
    return a->failed <= r->o->allow_failed && a->failed < r->nodes->n && a->sum < FATAL;
}

static void choose_policy(struct run *r)
{
    uint64_t size = 0;
    for (int i = 0; i < r->job.n; i++)
        size += r->job.archive[i].size;
    uint64_t bytes = size * DEFAULT_RATIO > DEFAULT_BYTES ? size * DEFAULT_RATIO : DEFAULT_BYTES;
    r->job.policy.max_bytes = r->o->max_bytes ? r->o->max_bytes : bytes;
    r->job.policy.max_files = r->o->max_files ? r->o->max_files : DEFAULT_FILES;
    r->result->stored = size;
}

/* Leader 0 looks at the archives and tells all. */
static bool describe(struct run *r)
{
    struct agreement a;
    if (r->nodes->leader == 0) {
        if (job_describe(&r->job, r->o->archives, r->o->n, &r->fault) < 0)
            r->fatal = true;
        choose_policy(r);
        if (!r->fatal && partial_new_name(r->place.base, r->job.partial, &r->fault) < 0)
            r->fatal = true;
    }
    nodes_share(r->nodes->leaders, &r->job, sizeof r->job);
    return go_on(r, 0, &a);
}

/* Compressed blocks are the smaller load for the network, and a node with cores of its own
 * decompresses them faster than one rank could for all. On few cores, or several leaders on one
 * machine, the work is done once, at leader 0. */
static void choose_travel(struct run *r)
{
    int fewest = r->nodes->cores;
    MPI_Request request;
    MPI_Iallreduce(&r->nodes->cores, &fewest, 1, MPI_INT, MPI_MIN, r->nodes->leaders, &request);
    nodes_wait(&request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    bool stored = r->o->travel == TRAVEL_STORED || (r->o->travel == TRAVEL_AUTO && fewest >= 4);
    for (int i = 0; i < r->job.n; i++)
        r->job.archive[i].stored = stored && r->job.archive[i].framing != FRAMING_NONE;
}

/* What must hold on this node before the first byte. */
static int check_place(struct run *r)
{
    uint64_t bytes = 0, files = 8;
    if (r->fault.set)
        return -1;
    enum place_state s = place_state(&r->place, &r->job.label, &r->fault);
    if (s == PLACE_ALIEN || (s == PLACE_OTHER && !r->o->force))
        return -1;
    r->fault = (struct fault){0};
    r->intact = s == PLACE_SAME && !r->o->force;
    for (int i = 0; i < r->job.n; i++) {
        bytes += r->job.archive[i].bytes;
        files += r->job.archive[i].files;
    }
    return r->intact ? 0 : place_space(&r->place, bytes, files, &r->fault);
}

/* Two nodes that see the same directory would stage into one DIR. */
static void check_private(struct run *r)
{
    const struct place *p = &r->place;
    if (!r->fault.set && p->partial[0] &&
        partial_other(p->parent_fd, p->base, p->partial, partial_number(r->job.partial), true))
        fault_set(&r->fault, p->parent,
                  "the nodes share this file system; give a node-local directory");
}

/* The names of the partial copies differ, so that check_private() tells them apart. */
static bool begin_place(struct run *r)
{
    char own[PARTIAL_NAME];
    snprintf(own, sizeof own, "%s", r->job.partial);
    if (r->nodes->leader > 0 && partial_new_name(r->place.base, own, &r->fault) < 0)
        return false;
    guardian_watch(r->guardian, r->place.parent, r->place.base, own, r->nodes->leader == 0);
    return place_begin(&r->place, own, partial_number(r->job.partial), &r->fault) == 0;
}

/* Leader 0 begins first: of two jobs on the same nodes one gets it, and the other all of
 * nothing. */
static bool prepare(struct run *r)
{
    struct agreement a;
    int first = 1;
    bool begin = !r->o->dry_run && !r->fault.set;
    if (r->nodes->leader == 0 && begin)
        first = begin_place(r);
    nodes_share(r->nodes->leaders, &first, sizeof first);
    if (r->nodes->leader > 0 && begin && first)
        begin_place(r);
    check_place(r);
    if (!go_on(r, r->intact, &a))
        return false;
    r->result->outcome =
        (int)a.sum + a.failed == r->nodes->n ? STAGE_NOTHING_TO_DO : STAGE_WOULD_DO;
    if (r->o->dry_run || r->result->outcome == STAGE_NOTHING_TO_DO)
        return false;
    r->result->outcome = STAGE_FAILED;
    check_private(r); /* all have made theirs */
    return go_on(r, 0, &a);
}

/* The consumer: one thread a leader. A node that has failed, or has nothing to do, only takes. */
static void *consume(void *arg)
{
    struct run *r = arg;
    struct intake in = {.channel = r->channel};
    int cores = r->nodes->cores;
    struct unpack_options o = {.dir = r->place.dir,
                               .old_prefix = r->o->old_prefix,
                               .external_links = r->o->external_links,
                               .policy = r->job.policy,
                               .threads = cores == 1            ? 0
                                          : cores < WRITERS_MAX ? cores
                                                                : WRITERS_MAX,
                               .bytes = &r->bytes,
                               .files = &r->files};
    struct unpack *u = NULL;
    if (r->active && !(u = unpack_open(r->place.partial_fd, &o, &r->unpack)))
        channel_fail(r->channel);
    bool well = u != NULL;
    for (int i = 0; i < r->job.n && !in.aborted; i++) {
        intake_begin(&in, &r->job.archive[i], cores < DECODERS_MAX ? cores : DECODERS_MAX);
        if (well && unpack_layer(u, intake_block, &in, r->job.archive[i].how, &r->unpack) < 0) {
            well = false;
            if (in.aborted)
                r->unpack = (struct fault){0}; /* not this node's fault */
            else
                channel_fail(r->channel);
        }
        intake_end(&in);
    }
    intake_finish(&in);
    if (well && !in.aborted)
        unpack_finish(u, &r->unpack);
    unpack_close(u);
    return NULL;
}

static void tick(void *arg)
{
    struct run *r = arg;
    if (interrupted && !r->fault.set) {
        fault_set(&r->fault, NULL, "stopped by signal %d", (int)interrupted);
        channel_fail(r->channel);
        if (r->nodes->leader == 0)
            channel_stop(r->channel);
    }
    if (r->nodes->leader == 0 && r->o->progress)
        r->o->progress(atomic_load(&r->feed.read), r->result->stored, io_now() - r->start);
}

/* Threads are as good as memory: without them nothing works. */
static void spawn(pthread_t *t, void *(*main)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(t, NULL, main, arg) != 0) {
        fputs("python-mpi-bcast: cannot start a thread\n", stderr);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stream(struct run *r)
{
    pthread_t consumer, producer;
    bool root = r->nodes->leader == 0;
    int cores = r->nodes->all_cores;
    r->active = r->place.partial_fd >= 0 && !r->fault.set && !r->intact;
    r->channel = channel_new(r->nodes, r->o->allow_failed);
    r->feed = (struct feed){.channel = r->channel,
                            .job = &r->job,
                            .paths = r->o->archives,
                            .threads = cores < DECODERS_MAX ? cores : DECODERS_MAX};
    if (root)
        spawn(&producer, feed_run, &r->feed);
    spawn(&consumer, consume, r);
    channel_pump(r->channel, tick, r);
    pthread_join(consumer, NULL);
    if (root)
        pthread_join(producer, NULL);
    if (r->feed.fault.set) {
        r->fatal = true;
        r->fault = r->feed.fault;
    } else if (!r->fault.set) {
        r->fault = r->unpack;
    }
}

/* After the stream: have all that count unpacked everything? */
static bool unpacked(struct run *r)
{
    struct agreement a;
    bool good = go_on(r, channel_notes_sent(r->channel), &a);
    if (r->nodes->leader == 0)
        channel_take_notes(r->channel, a.sum & (FATAL - 1));
    channel_free(r->channel);
    r->channel = NULL;
    return good;
}

static bool commit(struct run *r)
{
    struct agreement a;
    if (!r->fault.set && !r->intact)
        place_commit(&r->place, &r->job.label, &r->fault);
    if (!go_on(r, 0, &a)) {
        place_rollback(&r->place);
        return false;
    }
    if (!r->fault.set && !r->intact)
        place_finish(&r->place);
    return true;
}

static void run_leader(struct run *r)
{
    r->result->outcome = STAGE_FAILED;
    if (!describe(r))
        return;
    choose_travel(r);
    if (!prepare(r))
        return;
    stream(r);
    if (unpacked(r) && commit(r))
        r->result->outcome = STAGE_DONE;
}

/* What every rank should know. */
static void tell_all(struct stage_result *result)
{
    struct stage_result shared = *result;
    nodes_share(MPI_COMM_WORLD, &shared, sizeof shared);
    result->outcome = shared.outcome;
    result->nodes = shared.nodes;
    result->failed = shared.failed;
    result->first = shared.first;
}

void stage_run(struct nodes *nodes, struct guardian *guardian, const struct stage_options *o,
               struct stage_result *result)
{
    struct run *r = io_alloc(sizeof *r);
    r->nodes = nodes;
    r->guardian = guardian;
    r->o = o;
    r->result = result;
    r->start = io_now();
    *result = (struct stage_result){.outcome = STAGE_FAILED};
    mode_t mask = umask(0);
    place_open(&r->place, o->dir, &r->fault);
    struct place_id id = place_id(&r->place);
    nodes_settle(nodes, &id);
    if (nodes->leader >= 0)
        run_leader(r);
    place_close(&r->place);
    guardian_dismiss(guardian);
    umask(mask);
    result->nodes = nodes->n;
    result->files = r->files;
    result->bytes = r->bytes;
    result->seconds = io_now() - r->start;
    tell_all(result);
    free(r);
}
