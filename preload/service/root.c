/* SPDX-License-Identifier: BSD-3-Clause */
/* root.c - the loop of the root: what it looks up is sent to all, what others ask for is looked up.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs_view.h"
#include "base/log.h"
#include "base/sys.h"
#include "broadcast/exit_stats.h"
#include "broadcast/stream.h"
#include "broadcast/tree.h"
#include "cache/query.h"
#include "cache/unserved.h"
#include "dlopen/closure.h"
#include "fill/prefetch.h"
#include "mpi/bind.h"
#include "report/report.h"
#include "service/internal.h"
#include "service/lookup_pool.h"
#include "service/tell.h"

enum {
    RECEIVES = 8,         /* receives for requests that are posted */
    HELPERS = 4,          /* threads that look up what others ask for */
    PLAN_HELPERS = 16,    /* with a plan: requests in flight at the file system */
    MOST_COUNTERS = 4096, /* ranks of one node in a farewell */
};

static const int64_t heartbeat_ns = 500000000;

struct root {
    struct service *service;
    struct stream_writer writer;
    struct tree tree;
    int64_t last_broadcast;
    char requests[RECEIVES][WIRE_REQUESTS];
    struct job_request receives[RECEIVES];
    int listening; /* so many of them are posted */

    bool bulk; /* the plan is not done yet */
    int64_t bulk_began;
    int64_t bulk_ns;
    uint64_t bulk_bytes;

    /* farewells */
    char *exit_stats; /* receive buffer */
    size_t exit_stats_room;
    bool complete; /* all nodes have said what they used of the plan */
    struct job_request exit_stats_request;
    struct fi_counters *counters; /* of all ranks that left */
    size_t n_counters;
    struct report_libraries left;
    int nodes_gone;
};

static struct root *root; /* between root_serve and root_collect */

static void root_post(struct root *r, struct wire_frame *frame, enum wire_type type)
{
    frame->type = type;
    service_check(r->service, tree_send(&r->tree, frame), "relay");
    r->last_broadcast = sys_now_ns();
    count_add(&fi_count->blocks_broadcast, 1);
    count_add(&fi_count->bytes_broadcast, frame->size);
}

static bool post_empty(struct root *r, enum wire_type type)
{
    struct wire_frame *frame = tree_room(&r->tree);

    if (frame != NULL) {
        frame->size = 0;
        root_post(r, frame, type);
    }
    return frame != NULL;
}

/* Sends the next part of the stream, if there is any and room for it. */
static bool broadcast(struct root *r)
{
    struct wire_frame *frame;

    if (r->service->job.n_nodes == 1 ||
        !service_check(r->service, tree_progress(&r->tree), "relay")) {
        return false;
    }
    frame = tree_room(&r->tree);
    if (frame == NULL) {
        return false;
    }
    frame->size = (uint32_t)stream_write(&r->writer, frame->bytes, WIRE_FRAME - sizeof *frame);
    if (r->writer.broken) {
        service_check(r->service, -1, "stream (a file of the node cache cannot be read back)");
        return false;
    }
    if (frame->size > 0) {
        root_post(r, frame, WIRE_DATA);
        return true;
    }
    if (sys_now_ns() - r->last_broadcast > heartbeat_ns) {
        post_empty(r, WIRE_HEARTBEAT);
    }
    return false;
}

static void root_listen(struct root *r, int i)
{
    struct service *s = r->service;

    service_check(s,
                  job_post_receive(&s->job, r->requests[i], WIRE_REQUESTS, JOB_ANYONE,
                                   WIRE_TAG_REQUESTS, &r->receives[i]),
                  "receive");
}

/* Who asks for what no rank asks for is not answered. */
static void take_request(struct root *r, const struct fi_query *q)
{
    count_add(&fi_count->requests_seen, 1);
    if (query_is_allowed(q, &r->service->policy)) {
        lookup_pool_put(LOOKUP_REQUEST, q);
    } else {
        fi_log_once(LOG_WARN, "a request that no rank of a sound job makes is not answered");
    }
}

static bool take_requests(struct root *r)
{
    struct service *s = r->service;
    bool worked = false;

    for (int i = 0; i < RECEIVES && s->job.n_nodes > 1; i++) {
        struct fi_query q;
        size_t at = 0;
        size_t size = 0;
        bool done = false;

        if (!service_check(s, job_done(&r->receives[i], &done, &size), "receive") || !done) {
            continue;
        }
        while (wire_get(r->requests[i], size, &at, &q)) {
            take_request(r, &q);
        }
        root_listen(r, i);
        worked = true;
    }
    return worked;
}

/* Those of the root's own node. */
static bool take_local_requests(struct root *r)
{
    char path[4096];
    struct fi_query q;
    bool worked = false;

    while (segment_next_request(&r->service->node.index, &q, path)) {
        take_request(r, &q);
        worked = true;
    }
    return worked;
}

static void expect_exit_stats(struct root *r)
{
    struct service *s = r->service;

    service_check(s,
                  job_post_receive(&s->job, r->exit_stats, r->exit_stats_room, JOB_ANYONE,
                                   WIRE_TAG_EXIT_STATS, &r->exit_stats_request),
                  "receive");
}

static void add_counters(struct root *r, const struct fi_counters *c, size_t n)
{
    if (r->n_counters + n > (size_t)r->service->job.size) {
        return;
    }
    memcpy(r->counters + r->n_counters, c, n * sizeof *c);
    r->n_counters += n;
}

static bool take_exit_stats(struct root *r)
{
    struct service *s = r->service;
    struct exit_stats exit_stats;
    size_t size = 0;
    bool done = false;

    if (r->nodes_gone == s->job.n_nodes - 1 ||
        !service_check(s, job_done(&r->exit_stats_request, &done, &size), "receive") || !done) {
        return false;
    }
    exit_stats_read(&s->node.index, r->exit_stats, size, &exit_stats);
    add_counters(r, exit_stats.counters, exit_stats.n_counters);
    report_libraries_add(&r->left, exit_stats.left, exit_stats.unserved_size,
                         exit_stats.unserved_omitted);
    r->complete = r->complete && exit_stats.knows_plan;
    if (++r->nodes_gone < s->job.n_nodes - 1) {
        expect_exit_stats(r);
    }
    return true;
}

static bool all_leave(const struct root *r)
{
    return r->nodes_gone == r->service->job.n_nodes - 1 && service_node_leaves(r->service);
}

static bool is_quiet(const struct root *r)
{
    const struct service *s = r->service;

    return sys_now_ns() - s->last_work > (int64_t)s->input.config->idle_ms * 1000000 &&
           lookup_pool_idle();
}

/* A rank is lost, and with it, perhaps, the farewell of its node. */
static bool waits_in_vain(const struct root *r)
{
    return service_node_leaves(r->service) && service_waits_in_vain(r->service);
}

/* So long a leader that takes nothing is waited for; where one is known to be lost the report must
 * be written before the others give up. */
static int64_t silence_ns(const struct service *s)
{
    return atomic_load(&s->lost) ? service_wait_budget_ns(s) / 4 : service_wait_budget_ns(s);
}

/* By name, as the report: not into another root directory. */
static void save_plan(struct service *s)
{
    if (!fs_view_is_other()) {
        plan_save(&s->plan);
    }
}

/* The last frame. Afterwards nobody of the leaders waits for another. */
static void say_end(struct root *r)
{
    struct service *s = r->service;
    int64_t start = sys_now_ns();
    bool said = s->job.n_nodes == 1;

    while (!s->broken && (!said || tree_in_flight(&r->tree))) {
        said = said || post_empty(r, WIRE_END);
        service_check(s, tree_progress(&r->tree), "relay");
        if (sys_now_ns() - start > silence_ns(s)) {
            if (!atomic_load(&s->lost)) {
                service_check(s, -1, "broadcast to a silent node");
            }
            return;
        }
        service_rest(s, false);
    }
}

/* The plan's entries go to the helpers, in order; what they find is broadcast like all else. */
static void begin_bulk(struct root *r)
{
    struct plan *plan = &r->service->plan;

    r->bulk = plan->n > 0;
    r->bulk_began = sys_now_ns();
    for (size_t i = 0; i < plan->n; i++) {
        const struct plan_entry *e = &plan->entries[i];
        struct fi_query q = query_make((enum record_kind)e->kind, e->argument, e->path, e->length);

        if (query_is_allowed(&q, &r->service->policy) &&
            policy_verdict(&r->service->policy, e->path, e->length) != NOT_OURS) {
            lookup_pool_put(q.kind == RECORD_LIBRARY ? LOOKUP_LIBRARY : LOOKUP_PLAN, &q);
        }
    }
}

/* When all of it is looked up and sent, ranks that miss something need not hope for it any more. */
static void end_bulk(struct root *r)
{
    struct service *s = r->service;
    bool alone = s->job.n_nodes == 1;

    if (!r->bulk || !lookup_pool_idle() || (!alone && !stream_is_drained(&r->writer)) ||
        (!alone && !post_empty(r, WIRE_BULK_DONE))) {
        return;
    }
    r->bulk = false;
    r->bulk_ns = sys_now_ns() - r->bulk_began;
    r->bulk_bytes = atomic_load(&s->node.index.header->content_bytes);
    atomic_store(&s->node.index.header->bulk, 0);
}

static bool give_to_helper(const struct fi_query *q)
{
    return lookup_pool_put(LOOKUP_PREFETCH, q);
}

static bool root_prepare(struct root *r, struct service *s)
{
    r->service = s;
    stream_writer_init(&r->writer, &s->node);
    r->complete = true;
    r->exit_stats_room = exit_stats_room(MOST_COUNTERS, s->hello.planned);
    r->exit_stats = malloc(r->exit_stats_room);
    r->counters = calloc((size_t)s->job.size, sizeof *r->counters);
    if (r->exit_stats == NULL || r->counters == NULL) {
        return false;
    }
    if (s->job.n_nodes > 1) {
        service_check(s, tree_open(&r->tree, &s->job), "relay");
        while (r->listening < RECEIVES) {
            root_listen(r, r->listening++);
        }
        expect_exit_stats(r);
    }
    lookup_pool_start(&s->fill, s->plan.n > 0 ? PLAN_HELPERS : HELPERS);
    prefetch_start(&s->fill, &s->policy, give_to_helper);
    begin_bulk(r);
    return true;
}

void root_serve(struct service *s)
{
    root = calloc(1, sizeof *root);
    if (root == NULL || !root_prepare(root, s)) {
        service_check(s, -1, "allocation");
        return;
    }
    while (!s->broken && !fs_view_is_other()) { /* else it has no answers any more */
        bool worked = broadcast(root);

        worked |= take_requests(root);
        worked |= take_local_requests(root);
        worked |= take_exit_stats(root);
        end_bulk(root);
        s->in_flight = tree_in_flight(&root->tree);
        if (!worked && (all_leave(root) || is_quiet(root) || waits_in_vain(root))) {
            break;
        }
        /* the ranks of this node have no broadcasts to tell them that somebody is there */
        atomic_fetch_add_explicit(&s->node.index.header->progress, 1, memory_order_relaxed);
        service_rest(s, worked);
    }
    lookup_pool_stop();
    say_end(root);
    s->unfinished = tree_in_flight(&root->tree);
    if (!s->broken && !all_leave(root)) {
        plan_merge(&s->plan, &s->node.index, false);
        save_plan(s);
    }
}

static void cancel_receives(struct root *r)
{
    for (int i = 0; i < r->listening; i++) {
        job_cancel(&r->receives[i]);
    }
}

/* A request that came too late may still be written into the buffers of *r: they stay. */
static void root_release(struct root *r)
{
    cancel_receives(r);
    tree_close(&r->tree);
    stream_writer_end(&r->writer);
    free(r->exit_stats);
    free(r->counters);
    report_libraries_free(&r->left);
}

/* What this node would say to the root. */
static void add_own(struct root *r)
{
    const struct segment *index = &r->service->node.index;
    uint32_t omitted;
    size_t size = unserved_write(index, r->exit_stats, r->exit_stats_room, &omitted);

    add_counters(r, index->header->counters, index->header->n_ranks);
    report_libraries_add(&r->left, r->exit_stats, size, omitted);
}

static void write_report(struct root *r)
{
    struct service *s = r->service;
    const struct segment_header *h = s->node.index.header;
    char library[256];
    struct report_facts facts = {
        .ranks = s->job.size,
        .nodes = s->job.n_nodes,
        .root = s->job.root,
        .mpi_library = library,
        .roots = s->hello.roots,
        .cache_bytes = h->content_bytes,
        .index_bytes = h->reserved,
        .plan = {s->plan.file, s->plan.loaded, s->plan.used, s->plan.missed,
                 (double)r->bulk_ns / 1e9, r->bulk_bytes},
        .left = &r->left,
    };

    mpi_version(library, sizeof library);
    report_write(s->input.config->report, &facts, r->counters, r->n_counters);
}

void root_collect(struct service *s)
{
    while (root != NULL && !s->broken && !all_leave(root) && !service_waits_in_vain(s)) {
        service_rest(s, take_exit_stats(root));
    }
    if (root == NULL) {
        return;
    }
    if (s->broken) { /* MPI may still write into what it was given */
        cancel_receives(root);
        tell_idle(s->input.config, true, LOG_INFO,
                  "an MPI call has failed while the job was served: there are no figures");
        return;
    }
    add_own(root);
    closure_mark_used_files(&s->node.index);
    plan_merge(&s->plan, &s->node.index, root->complete && all_leave(root));
    save_plan(s);
    if (s->input.config->report != NULL && !fs_view_is_other()) {
        write_report(root);
    }
    if (all_leave(root)) {
        root_release(root);
    }
}
