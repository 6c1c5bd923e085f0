/* SPDX-License-Identifier: BSD-3-Clause */
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
#include "stage/consumer.h"
#include "stage/destination.h"
#include "stage/producer.h"
#include "stage/request.h"
#include "stage/unpack.h"

enum {
    WRITERS_MAX = 4,
    DECODERS_MAX = 6,
    DEFAULT_FILES = 10000000,
    DEFAULT_RATIO = 64 /* bytes that may be unpacked for each byte of the archives */
};
#define DEFAULT_BYTES ((uint64_t)8 << 30)
#define FATAL                                                                                      \
    ((uint64_t)1                                                                                   \
     << 32) /* in the value of a status: the job must end, however many nodes may fail */

struct run {
    struct nodes *nodes;
    struct cleanup_helper *helper;
    const struct stage_options *o;
    struct stage_result *result;
    struct request request;
    struct destination destination;
    struct channel *channel;
    struct error error;  /* this node's error, of the main thread */
    struct error unpack; /* this node's error, of the consumer's thread */
    bool intact;         /* DIR holds already what it should hold */
    bool active;         /* the consumer unpacks here */
    bool fatal;
    double start;
    _Atomic uint64_t bytes, files;
    struct producer producer;
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

/* The leaders exchange their status. True if the job may go on. */
static bool stage_may_go_on(struct run *r, uint64_t value, struct status_summary *a)
{
    struct stage_result *result = r->result;
    if (r->nodes->leader == 0 && result->reports == NULL) {
        result->reports = io_alloc((size_t)r->nodes->n * sizeof *result->reports);
    }
    if (interrupted && !r->error.set) {
        error_set(&r->error, NULL, "stopped by signal %d", (int)interrupted);
    }
    status_exchange(r->nodes, &r->error, value | (r->fatal ? FATAL : 0), result->reports, a);
    result->failed = a->failed;
    if (a->failed) {
        result->first = a->first;
    }
    return a->failed <= r->o->allow_failed && a->failed < r->nodes->n && a->sum < FATAL;
}

static void stage_choose_policy(struct run *r)
{
    uint64_t size = 0;
    for (int i = 0; i < r->request.n; i++) {
        size += r->request.archive[i].size;
    }
    uint64_t bytes = size * DEFAULT_RATIO > DEFAULT_BYTES ? size * DEFAULT_RATIO : DEFAULT_BYTES;
    r->request.policy.max_bytes = r->o->max_bytes ? r->o->max_bytes : bytes;
    r->request.policy.max_files = r->o->max_files ? r->o->max_files : DEFAULT_FILES;
    r->result->stored = size;
}

/* The scripts of an environment, such as bin/activate, name DIR without quotes around it. */
static int stage_check_name(const struct run *r, struct error *err)
{
    for (int i = 0; i < r->request.n; i++) {
        if (r->request.archive[i].environment &&
            strpbrk(r->destination.dir, " \t\n\"'`$\\;&|<>()*?[]#!{}") != NULL) {
            return error_set(err, r->destination.dir,
                             "scripts of an environment work only where the path has no white "
                             "space, and no character that means something to a shell; choose "
                             "another DIR");
        }
    }
    return 0;
}

/* Leader 0 reads the heads of the archives and tells all leaders. */
static bool stage_describe(struct run *r)
{
    struct status_summary a;
    if (r->nodes->leader == 0) {
        if (request_describe(&r->request, r->o->archives, r->o->n, &r->error) < 0 ||
            stage_check_name(r, &r->error) < 0) {
            r->fatal = true;
        }
        stage_choose_policy(r);
        if (!r->fatal && partial_new_name(r->destination.base, r->request.partial, &r->error) < 0) {
            r->fatal = true;
        }
    }
    nodes_share(r->nodes->leaders, &r->request, sizeof r->request);
    return stage_may_go_on(r, 0, &a);
}

/* Decides where the archives are decompressed. Compressed blocks are less work for the network, and
 * a node with cores of its own decompresses them faster than one rank could do it for all. With few
 * cores, or several leaders on one machine, leader 0 does the work once. */
static void stage_choose_travel(struct run *r)
{
    int fewest = r->nodes->cores;
    MPI_Request request = MPI_REQUEST_NULL;
    mpi_call.Iallreduce(&r->nodes->cores, &fewest, 1, MPI_INT, MPI_MIN, r->nodes->leaders,
                        &request);
    nodes_wait(&request);
    bool stored = r->o->travel == TRAVEL_STORED || (r->o->travel == TRAVEL_AUTO && fewest >= 4);
    for (int i = 0; i < r->request.n; i++) {
        r->request.archive[i].stored = stored && r->request.archive[i].framing != FRAMING_NONE;
    }
}

/* Checks what must hold on this node before the first byte arrives. */
static int stage_check_destination(struct run *r)
{
    uint64_t bytes = 0, files = 8;
    if (r->error.set) {
        return -1;
    }
    enum destination_state s = destination_state(&r->destination, &r->request.label, &r->error);
    if (s == DESTINATION_ALIEN || (s == DESTINATION_OTHER && !r->o->force)) {
        return -1;
    }
    r->error = (struct error){0};
    r->intact = s == DESTINATION_SAME && !r->o->force;
    for (int i = 0; i < r->request.n; i++) {
        bytes += r->request.archive[i].bytes;
        files += r->request.archive[i].files;
    }
    return r->intact ? 0 : destination_space(&r->destination, bytes, files, &r->error);
}

/* Two nodes that see the same directory would stage into one DIR. */
static void stage_check_private(struct run *r)
{
    const struct destination *p = &r->destination;
    if (!r->error.set && p->partial[0] &&
        partial_other(p->parent_fd, p->base, p->partial, partial_number(r->request.partial),
                      true)) {
        error_set(&r->error, p->parent,
                  "the nodes share this file system; give a node-local directory");
    }
}

/* Each node's partial copy has a name of its own, so that stage_check_private() can tell them
 * apart. */
static bool stage_begin_destination(struct run *r)
{
    char own[PARTIAL_NAME];
    snprintf(own, sizeof own, "%s", r->request.partial);
    if (r->nodes->leader > 0 && partial_new_name(r->destination.base, own, &r->error) < 0) {
        return false;
    }
    cleanup_helper_watch(r->helper, r->destination.parent, r->destination.base, own,
                         r->nodes->leader == 0);
    return destination_begin(&r->destination, own, partial_number(r->request.partial), &r->error) ==
           0;
}

/* Leader 0 begins before the others: of two jobs on the same nodes one gets leader 0's node, and
 * the other gets no node. */
static bool stage_prepare(struct run *r)
{
    struct status_summary a;
    int first = 1;
    bool begin = !r->o->dry_run && !r->error.set;
    if (r->nodes->leader == 0 && begin) {
        first = stage_begin_destination(r);
    }
    nodes_share(r->nodes->leaders, &first, sizeof first);
    if (r->nodes->leader > 0 && begin && first) {
        stage_begin_destination(r);
    }
    stage_check_destination(r);
    if (!stage_may_go_on(r, r->intact, &a)) {
        return false;
    }
    r->result->outcome =
        (int)a.sum + a.failed == r->nodes->n ? STAGE_NOTHING_TO_DO : STAGE_WOULD_DO;
    if (r->o->dry_run || r->result->outcome == STAGE_NOTHING_TO_DO) {
        return false;
    }
    r->result->outcome = STAGE_FAILED;
    stage_check_private(r); /* all leaders have made their partial copies by now */
    return stage_may_go_on(r, 0, &a);
}

/* On one core, threads that write would only add copies. */
static int stage_writer_threads(int cores)
{
    if (cores == 1) {
        return 0;
    }
    return cores < WRITERS_MAX ? cores : WRITERS_MAX;
}

/* The main function of the consumer, one thread at each leader. On a node that has failed, or has
 * nothing to do, it only takes chunks. */
static void *stage_consume(void *arg)
{
    struct run *r = arg;
    struct consumer in = {.channel = r->channel};
    int cores = r->nodes->cores;
    struct unpack_options o = {.dir = r->destination.dir,
                               .old_prefix = r->o->old_prefix,
                               .external_links = r->o->external_links,
                               .policy = r->request.policy,
                               .threads = stage_writer_threads(cores),
                               .bytes = &r->bytes,
                               .files = &r->files};
    struct unpack *u = NULL;
    if (r->active && (u = unpack_open(r->destination.partial_fd, &o, &r->unpack)) == NULL) {
        channel_fail(r->channel);
    }
    bool well = u != NULL;
    for (int i = 0; i < r->request.n && !in.aborted; i++) {
        consumer_begin(&in, &r->request.archive[i], cores < DECODERS_MAX ? cores : DECODERS_MAX);
        if (well &&
            unpack_layer(u, consumer_block, &in, r->request.archive[i].how, &r->unpack) < 0) {
            well = false;
            if (in.aborted) {
                r->unpack = (struct error){0}; /* the node is not to blame */
            } else {
                channel_fail(r->channel);
            }
        }
        consumer_end(&in);
    }
    consumer_finish(&in);
    if (well && !in.aborted) {
        unpack_finish(u, &r->unpack);
    }
    unpack_close(u);
    return NULL;
}

static void stage_tick(void *arg)
{
    struct run *r = arg;
    if (interrupted && !r->error.set) {
        error_set(&r->error, NULL, "stopped by signal %d", (int)interrupted);
        channel_fail(r->channel);
        if (r->nodes->leader == 0) {
            channel_stop(r->channel);
        }
    }
    if (r->nodes->leader == 0 && r->o->progress != NULL) {
        r->o->progress(atomic_load(&r->producer.read), r->result->stored, io_now() - r->start);
    }
}

/* Without threads nothing works: a failure ends the job, as one to get memory does. */
static void stage_spawn_thread(pthread_t *t, void *(*main)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(t, NULL, main, arg) != 0) {
        fputs("python-mpi-bcast: cannot start a thread\n", stderr);
        mpi_call.Abort(MPI_COMM_WORLD, 1);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stage_stream(struct run *r)
{
    pthread_t consumer, producer;
    bool root = r->nodes->leader == 0;
    int cores = r->nodes->all_cores;
    r->active = r->destination.partial_fd >= 0 && !r->error.set && !r->intact;
    r->channel = channel_new(r->nodes, r->o->allow_failed);
    r->producer = (struct producer){.channel = r->channel,
                                    .request = &r->request,
                                    .paths = r->o->archives,
                                    .threads = cores < DECODERS_MAX ? cores : DECODERS_MAX};
    if (root) {
        stage_spawn_thread(&producer, producer_run, &r->producer);
    }
    stage_spawn_thread(&consumer, stage_consume, r);
    channel_pump(r->channel, stage_tick, r);
    pthread_join(consumer, NULL);
    if (root) {
        pthread_join(producer, NULL);
    }
    if (r->producer.error.set) {
        r->fatal = true;
        r->error = r->producer.error;
    } else if (!r->error.set) {
        r->error = r->unpack;
    }
}

/* After the stream: have all nodes that count unpacked everything? */
static bool stage_all_unpacked(struct run *r)
{
    struct status_summary a;
    bool good = stage_may_go_on(r, channel_notes_sent(r->channel), &a);
    if (r->nodes->leader == 0) {
        channel_take_notes(r->channel, a.sum & (FATAL - 1));
    }
    channel_free(r->channel);
    r->channel = NULL;
    return good;
}

static bool stage_commit(struct run *r)
{
    struct status_summary a;
    if (!r->error.set && !r->intact) {
        destination_commit(&r->destination, &r->request.label, &r->error);
    }
    if (!stage_may_go_on(r, 0, &a)) {
        destination_rollback(&r->destination);
        return false;
    }
    if (!r->error.set && !r->intact) {
        destination_finish(&r->destination);
    }
    return true;
}

static void stage_run_leader(struct run *r)
{
    r->result->outcome = STAGE_FAILED;
    if (!stage_describe(r)) {
        return;
    }
    stage_choose_travel(r);
    if (!stage_prepare(r)) {
        return;
    }
    stage_stream(r);
    if (stage_all_unpacked(r) && stage_commit(r)) {
        r->result->outcome = STAGE_DONE;
    }
}

/* Sends to all ranks what they must know. */
static void stage_tell_all(struct stage_result *result)
{
    struct stage_result shared = *result;
    nodes_share(MPI_COMM_WORLD, &shared, sizeof shared);
    result->outcome = shared.outcome;
    result->nodes = shared.nodes;
    result->failed = shared.failed;
    result->first = shared.first;
}

void stage_run(struct nodes *nodes, struct cleanup_helper *helper, const struct stage_options *o,
               struct stage_result *result)
{
    struct run *r = io_alloc(sizeof *r);
    r->nodes = nodes;
    r->helper = helper;
    r->o = o;
    r->result = result;
    r->start = io_now();
    *result = (struct stage_result){.outcome = STAGE_FAILED};
    mode_t mask = umask(0);
    destination_open(&r->destination, o->dir, &r->error);
    struct destination_id id = destination_id(&r->destination);
    nodes_elect_by_directory(nodes, &id);
    if (nodes->leader >= 0) {
        stage_run_leader(r);
    }
    destination_close(&r->destination);
    cleanup_helper_dismiss(helper);
    umask(mask);
    result->nodes = nodes->n;
    result->files = r->files;
    result->bytes = r->bytes;
    result->seconds = io_now() - r->start;
    stage_tell_all(result);
    free(r);
}
