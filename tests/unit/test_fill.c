/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill: ranks of a node and a root in one process. A thread plays the leader and the root: it
 * answers by the stream, by request, late, or not at all.
 */
#include "scratch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/protected_fd.h"
#include "base/sys.h"
#include "faults.h"
#include "fill/fill.h"
#include "samples.h"
#include "service/lookup_pool.h"

enum { MS = 1000000, WAIT_MS = 600 };

static struct node_cache node;
static struct fill asker;
static struct fill root;

static int fill_setup(void **state)
{
    if (scratch_setup(state) != 0 || node_create(&node, scratch(), 2) != 0) {
        return -1;
    }
    fill_init(&asker, &node, false, 1 << 20, WAIT_MS);
    fill_init(&root, &node, true, 1 << 20, WAIT_MS);
    atomic_store(&node.index.header->state, SERVICE_RUNNING);
    scratch_text("file", "hello");
    return 0;
}

static int fill_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static struct fi_query fill_query(const char *name)
{
    const char *path = scratch_path(name);

    return query_make(RECORD_STAT, 0, path, strlen(path));
}

/* The leader: waits for a request and does `play` with it. */
struct leader {
    void (*play)(const struct fi_query *q);
    int seen;
    _Atomic bool stop;
};

static void *lead(void *leader_)
{
    struct leader *leader = leader_;
    char path[4096];
    struct fi_query q;

    while (!atomic_load(&leader->stop)) {
        if (segment_next_request(&node.index, &q, path)) {
            leader->seen++;
            leader->play(&q);
        } else {
            segment_sleep(&node.index, MS);
        }
    }
    return NULL;
}

static const struct record *get_with(void (*play)(const struct fi_query *), const char *name,
                                     int *seen, enum fallback_reason *why)
{
    struct leader leader = {.play = play};
    struct fi_query q = fill_query(name);
    const struct record *r;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, lead, &leader), 0);
    r = fill_get(&asker, &q, NULL, why);
    sys_nap_ns(5 * MS);
    atomic_store(&leader.stop, true);
    pthread_join(thread, NULL);
    *seen = leader.seen;
    return r;
}

static void answer_it(const struct fi_query *q)
{
    fill_for_others(&root, q, RECORD_BY_REQUEST);
}

static void answer_after_signs_of_life(const struct fi_query *q)
{
    for (int i = 0; i < 5; i++) { /* longer than the bound, but not silent */
        sys_nap_ns(WAIT_MS * MS / 2);
        atomic_fetch_add(&node.index.header->progress, 1);
    }
    answer_it(q);
}

static void ignore_it(const struct fi_query *q)
{
    (void)q;
}

static void end_the_service(const struct fi_query *q)
{
    (void)q;
    atomic_store(&node.index.header->state, SERVICE_ENDED);
    segment_announce(&node.index);
}

static void the_root_looks_itself(void **state)
{
    struct fi_query q = fill_query("file");
    enum fallback_reason why;
    const struct record *r = fill_get(&root, &q, NULL, &why);

    (void)state;
    assert_non_null(r);
    assert_int_equal(r->error, 0);
    assert_int_equal(r->flags, 0); /* goes to all */
    assert_false(segment_claimed(&node.index, q.hash));
    assert_ptr_equal(fill_get(&root, &q, NULL, &why), r);
    atomic_store(&node.index.header->state, SERVICE_ENDED);
    q = fill_query("later");
    assert_int_equal(fill_get(&root, &q, NULL, &why)->flags & RECORD_LOCAL, RECORD_LOCAL);
}

static void *stream_soon(void *q)
{
    sys_nap_ns(MS / 2);
    fill_for_others(&root, q, 0);
    return NULL;
}

static void what_the_stream_brings_is_not_asked_for(void **state)
{
    struct fi_query q = fill_query("file");
    enum fallback_reason why;
    pthread_t thread;
    char path[4096];

    (void)state;
    atomic_store(&asker.first_wait_ns, 500 * MS);
    assert_int_equal(pthread_create(&thread, NULL, stream_soon, &q), 0);
    assert_non_null(fill_get(&asker, &q, NULL, &why));
    pthread_join(thread, NULL);
    assert_false(segment_next_request(&node.index, &q, path));
}

static void *list_soon(void *q)
{
    sys_nap_ns(MS / 2);
    fill_for_others(&root, q, 0);
    return NULL;
}

static void *read_claimed_soon(void *q)
{
    sys_nap_ns(MS / 2);
    fill_and_unclaim(&root, q);
    return NULL;
}

static void a_listing_that_comes_first_is_returned(void **state)
{
    struct fi_query q = fill_query("missing");
    struct fi_query listing = query_make(RECORD_LIST, 0, scratch(), strlen(scratch()));
    enum fallback_reason why;
    const struct record *r;
    pthread_t thread;
    char path[4096];

    (void)state;
    atomic_store(&asker.first_wait_ns, 500 * MS);
    assert_int_equal(pthread_create(&thread, NULL, list_soon, &listing), 0);
    r = fill_get(&asker, &q, &listing, &why);
    pthread_join(thread, NULL);
    assert_int_equal(r->kind, RECORD_LIST);
    assert_false(segment_next_request(&node.index, &q, path));
}

static void the_root_waits_for_a_listing_that_is_being_read(void **state)
{
    struct fi_query q = fill_query("missing");
    struct fi_query listing = query_make(RECORD_LIST, 0, scratch(), strlen(scratch()));
    enum fallback_reason why;
    pthread_t thread;

    (void)state;
    assert_int_equal(fill_get(&root, &q, &listing, &why)->kind, RECORD_STAT); /* nobody reads it */
    assert_true(segment_claim(&node.index, listing.hash));
    q = fill_query("missing, too");
    assert_int_equal(fill_get(&root, &q, &listing, &why)->kind, RECORD_STAT); /* the bound */
    q = fill_query("missing as well");
    assert_int_equal(pthread_create(&thread, NULL, read_claimed_soon, &listing), 0);
    assert_int_equal(fill_get(&root, &q, &listing, &why)->kind, RECORD_LIST);
    pthread_join(thread, NULL);
}

static void a_request_is_answered(void **state)
{
    enum fallback_reason why;
    int64_t wait_budget = asker.first_wait_ns;
    int seen;
    const struct record *r = get_with(answer_it, "file", &seen, &why);

    (void)state;
    assert_non_null(r);
    assert_int_equal(r->flags, RECORD_BY_REQUEST);
    assert_int_equal(seen, 1);
    assert_true(asker.first_wait_ns < wait_budget); /* goes its own way: asks sooner next time */
    assert_int_equal(node.index.header->state, SERVICE_RUNNING);
}

static void a_slow_root_is_waited_for(void **state)
{
    enum fallback_reason why;
    int seen;

    (void)state;
    assert_non_null(get_with(answer_after_signs_of_life, "file", &seen, &why));
    assert_int_equal(node.index.header->state, SERVICE_RUNNING);
}

static void silence_has_a_bound(void **state)
{
    enum fallback_reason why;
    int64_t start = sys_now_ns();
    const struct record *r;
    const char *text;
    int seen;

    (void)state;
    capture_begin();
    r = get_with(ignore_it, "file", &seen, &why);
    text = capture_end();
    assert_int_equal(occurrences(text, "no sign of life from the root"), 1);
    assert_int_equal(seen, 1);
    assert_non_null(r); /* looked up here instead */
    assert_int_equal(r->flags, RECORD_LOCAL);
    assert_in_range(sys_now_ns() - start, (int64_t)WAIT_MS * MS, 20LL * WAIT_MS * MS);
    assert_int_equal(node.index.header->state, SERVICE_DEAD);
    start = sys_now_ns();
    assert_non_null(get_with(ignore_it, "another", &seen, &why)); /* from now on at once */
    assert_in_range(sys_now_ns() - start, 0, (int64_t)WAIT_MS * MS / 2);
    assert_int_equal(seen, 0);
}

static void the_end_of_the_service_wakes_who_waits(void **state)
{
    enum fallback_reason why;
    int64_t start = sys_now_ns();
    int seen;

    (void)state;
    assert_non_null(get_with(end_the_service, "file", &seen, &why));
    assert_in_range(sys_now_ns() - start, 0, (int64_t)WAIT_MS * MS);
    assert_int_equal(node.index.header->state, SERVICE_ENDED);
}

struct crowd {
    pthread_t thread;
    const struct fi_query *wants;
    const struct record *got;
};

static void *ask_too(void *crowd_)
{
    struct crowd *crowd = crowd_;
    enum fallback_reason why;

    crowd->got = fill_get(&asker, crowd->wants, NULL, &why);
    return NULL;
}

static void many_that_want_the_same_ask_once(void **state)
{
    struct crowd crowd[8] = {{0}};
    struct leader leader = {.play = answer_after_signs_of_life};
    struct fi_query q = fill_query("file");
    pthread_t thread;

    (void)state;
    atomic_store(&asker.first_wait_ns, 0);
    for (int i = 0; i < 8; i++) {
        crowd[i].wants = &q;
        pthread_create(&crowd[i].thread, NULL, ask_too, &crowd[i]);
    }
    pthread_create(&thread, NULL, lead, &leader);
    for (int i = 0; i < 8; i++) {
        pthread_join(crowd[i].thread, NULL);
        assert_ptr_equal(crowd[i].got, crowd[0].got);
        assert_non_null(crowd[i].got);
    }
    atomic_store(&leader.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(leader.seen, 1);
}

/* The claim of a process that was killed while it looked something up. */
static void a_dead_holder_of_a_claim_is_passed_by(void **state)
{
    struct fi_query q = fill_query("file");
    enum fallback_reason why;
    int64_t start = sys_now_ns();

    (void)state;
    assert_true(segment_claim(&node.index, q.hash));
    assert_non_null(fill_get(&root, &q, NULL, &why));
    assert_in_range(sys_now_ns() - start, (int64_t)WAIT_MS * MS / 2, 10LL * WAIT_MS * MS);
    q = fill_query("other");
    assert_true(
        segment_claim(&node.index, q.hash + SEGMENT_CLAIMS)); /* another key in the same place */
    start = sys_now_ns();
    assert_non_null(fill_get(&root, &q, NULL, &why));
    assert_in_range(sys_now_ns() - start, 0, (int64_t)WAIT_MS * MS / 2);
    q = fill_query("file2");
    assert_true(segment_claim(&node.index, q.hash));
    fill_for_others(&root, &q, RECORD_BY_REQUEST); /* under way: nothing to do */
    assert_null(segment_find(&node.index, &q));
}

static void a_full_index_is_a_reason(void **state)
{
    struct fi_query q = fill_query("file");
    enum fallback_reason why;

    (void)state;
    fault_arm(FAULT_sys_fallocate, -28, 0, ALWAYS);
    q.length = strlen(q.path);
    node.index.header->tail = node.index.header->reserved;
    assert_null(fill_get(&root, &q, NULL, &why));
    assert_int_equal(why, FALLBACK_NO_MEMORY);
    assert_null(fill_get(&asker, &q, NULL, &why)); /* does not even wait */
    assert_int_equal(why, FALLBACK_NO_MEMORY);
}

static void a_full_ring_is_no_end(void **state)
{
    struct fi_query filler = fill_query("filler");
    struct fi_query q = fill_query("file");
    enum fallback_reason why;

    (void)state;
    while (segment_ask(&node.index, &filler)) {
    }
    capture_begin();
    assert_non_null(fill_get(&asker, &q, NULL, &why)); /* after the bound */
    capture_end();
}

/* The helpers keep their state for the life of a process: each test in a child of its own. */
static bool comes(const char *name)
{
    struct fi_query q = fill_query(name);

    for (int i = 0; i < 2000 && segment_find(&node.index, &q) == NULL; i++) {
        sys_nap_ns(MS);
    }
    return segment_find(&node.index, &q) != NULL;
}

static int helpers_work(void *unused)
{
    struct fi_query q;
    char name[16];

    (void)unused;
    lookup_pool_start(&root, 2);
    fault_arm(FAULT_malloc, 1, 0, 1);
    q = fill_query("dropped");
    lookup_pool_put(LOOKUP_REQUEST, &q); /* no memory */
    fault_arm(FAULT_pthread_create, 1, 0, 2);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "w%d", i);
        q = fill_query(name);
        lookup_pool_put((enum lookup_queue)(i % LOOKUP_QUEUES), &q);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "w%d", i);
        if (!comes(name)) {
            return 1;
        }
    }
    for (int i = 0; i < 2000 && !lookup_pool_idle(); i++) {
        sys_nap_ns(MS);
    }
    q = fill_query("dropped");
    if (!lookup_pool_idle() || segment_find(&node.index, &q) != NULL) {
        return 2;
    }
    lookup_pool_stop();
    return 0;
}

static void helpers_look_up_what_is_put(void **state)
{
    (void)state;
    assert_int_equal(in_child(helpers_work, NULL), 0);
}

#define fill_test(f) cmocka_unit_test_setup_teardown(f, fill_setup, fill_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fill_test(the_root_looks_itself),
        fill_test(what_the_stream_brings_is_not_asked_for),
        fill_test(a_listing_that_comes_first_is_returned),
        fill_test(the_root_waits_for_a_listing_that_is_being_read),
        fill_test(a_request_is_answered),
        fill_test(a_slow_root_is_waited_for),
        fill_test(silence_has_a_bound),
        fill_test(the_end_of_the_service_wakes_who_waits),
        fill_test(many_that_want_the_same_ask_once),
        fill_test(a_dead_holder_of_a_claim_is_passed_by),
        fill_test(a_full_index_is_a_reason),
        fill_test(a_full_ring_is_no_end),
        fill_test(helpers_look_up_what_is_put),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
