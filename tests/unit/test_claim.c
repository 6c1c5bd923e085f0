/* SPDX-License-Identifier: BSD-3-Clause */
/* fill/claim: who holds a claim and makes progress is waited for, however long it takes; who is
 * silent is not. */
#include "scratch.h"

#include <pthread.h>
#include <string.h>

#include "base/protected_fd.h"
#include "base/sys.h"
#include "fill/claim.h"
#include "fill/fill.h"

enum { MS = 1000000, WAIT_MS = 600 };

static struct node_cache node;
static struct fill root;

static int claim_setup(void **state)
{
    if (scratch_setup(state) != 0 || node_create(&node, scratch(), 1) != 0) {
        return -1;
    }
    fill_init(&root, &node, true, 1 << 20, WAIT_MS);
    atomic_store(&node.index.header->state, SERVICE_RUNNING);
    scratch_text("file", "hello");
    return 0;
}

static int claim_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static struct fi_query claim_query(const char *name)
{
    const char *path = scratch_path(name);

    return query_make(RECORD_STAT, 0, path, strlen(path));
}

static void a_step_of_the_innermost_moves_all(void **state)
{
    struct claim_watch first = claim_watch(&node.index, 1);
    struct claim_watch second = claim_watch(&node.index, 3);
    struct claim outer;
    struct claim inner;

    (void)state;
    assert_false(claim_is_alive(&first, INT64_MAX)); /* nobody holds it */
    assert_true(claim_take(&outer, &node.index, 1));
    assert_false(claim_take(&inner, &node.index, 1));
    assert_true(claim_take(&inner, &node.index, 3));
    assert_true(claim_is_alive(&first, INT64_MAX));
    assert_false(claim_is_alive(&first, 0)); /* silent for too long */
    claim_progress();
    assert_true(claim_is_alive(&first, MS * 1000LL));
    assert_true(claim_is_alive(&second, MS * 1000LL));
    claim_drop(&inner);
    assert_false(segment_claimed(&node.index, 3));
    second.moved = 0;
    claim_progress();
    assert_false(claim_is_alive(&second, INT64_MAX));
    assert_true(claim_is_alive(&first, INT64_MAX));
    claim_drop(&outer);
    assert_false(segment_claimed(&node.index, 1));
    claim_progress(); /* nothing is held */
}

/* Holds two claims, of which the inner one moves for three times as long as a silent one is waited
 * for. */
static void *read_slowly(void *q_)
{
    const struct fi_query *q = q_;
    struct fi_query inner = claim_query("inner");
    struct claim outer_claim;
    struct claim inner_claim;

    claim_adopt(&outer_claim, &node.index, q->hash); /* the test has taken it */
    assert_true(claim_take(&inner_claim, &node.index, inner.hash));
    for (int i = 0; i < 12; i++) {
        sys_nap_ns(WAIT_MS * MS / 4);
        claim_progress();
    }
    claim_drop(&inner_claim);
    lookup_real(&node, q, 0, &root.limits);
    segment_announce(&node.index);
    claim_drop(&outer_claim);
    return NULL;
}

static void a_slow_holder_of_a_claim_is_waited_for(void **state)
{
    struct fi_query q = claim_query("file");
    uint64_t lookups = fi_count->lookups;
    enum fallback_reason why;
    const struct record *r;
    pthread_t thread;

    (void)state;
    assert_true(segment_claim(&node.index, q.hash));
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &q), 0);
    r = fill_get(&root, &q, NULL, &why);
    pthread_join(thread, NULL);
    assert_non_null(r);
    assert_int_equal(fi_count->lookups, lookups + 1);
    assert_false(segment_claimed(&node.index, q.hash));
}

static void *list_slowly(void *q_)
{
    const struct fi_query *q = q_;
    struct claim claim;

    claim_adopt(&claim, &node.index, q->hash);
    for (int i = 0; i < 8; i++) {
        sys_nap_ns(WAIT_MS * MS / 4);
        claim_progress();
    }
    lookup_real(&node, q, 0, &root.limits);
    segment_announce(&node.index);
    claim_drop(&claim);
    return NULL;
}

static void a_slow_listing_is_waited_for(void **state)
{
    struct fi_query q = claim_query("missing");
    struct fi_query listing = query_make(RECORD_LIST, 0, scratch(), strlen(scratch()));
    enum fallback_reason why;
    pthread_t thread;

    (void)state;
    assert_true(segment_claim(&node.index, listing.hash));
    assert_int_equal(pthread_create(&thread, NULL, list_slowly, &listing), 0);
    assert_int_equal(fill_get(&root, &q, &listing, &why)->kind, RECORD_LIST);
    pthread_join(thread, NULL);
}

/* The root's heartbeats tell of its progress for two seconds; then the record comes. */
static void *read_slowly_elsewhere(void *q_)
{
    const struct fi_query *q = q_;

    for (int i = 0; i < 40; i++) {
        sys_nap_ns(50 * MS);
        atomic_fetch_add(&node.index.header->progress, 1);
        segment_move_claim(&node.index, q->hash);
    }
    lookup_real(&node, q, 0, &root.limits);
    segment_announce(&node.index);
    return NULL;
}

static void other_nodes_wait_as_long(void **state)
{
    struct fi_query q = claim_query("file");
    enum fallback_reason why;
    const struct record *r;
    struct fill asker;
    pthread_t thread;

    (void)state;
    fill_init(&asker, &node, false, 1 << 20, 100); /* 1.2 s at most, without progress */
    assert_int_equal(pthread_create(&thread, NULL, read_slowly_elsewhere, &q), 0);
    r = fill_get(&asker, &q, NULL, &why);
    pthread_join(thread, NULL);
    assert_non_null(r);
    assert_int_equal(node.index.header->state, SERVICE_RUNNING);
}

#define claim_test(f) cmocka_unit_test_setup_teardown(f, claim_setup, claim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim_test(a_step_of_the_innermost_moves_all),
        claim_test(a_slow_holder_of_a_claim_is_waited_for),
        claim_test(a_slow_listing_is_waited_for),
        claim_test(other_nodes_wait_as_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
