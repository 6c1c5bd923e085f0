/* SPDX-License-Identifier: BSD-3-Clause */
/* service/relay: the tree's shape, and frames on their way down it, over a network that is
 * simulated in this process: any node may be slow, messages arrive when the receiver looks. */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broadcast/tree.h"
#include "faults.h"

enum { MOST_NODES = 1000, MOST_MESSAGES = 1 << 16 };

/* --- the network: what mpi/job.h promises, for all nodes in one process --- */

struct message {
    int from, to;
    const char *bytes;
    size_t size;
    bool received;
};

struct expected {
    struct job *job;
    char *bytes;
    size_t room, came;
    int from;
    bool done, withdrawn;
};

static struct message sent[MOST_MESSAGES];
static struct expected posted[MOST_MESSAGES];
static int64_t n_sent, n_posted, n_open;
static int refuse; /* after so many operations MPI fails; 0: never */

static bool refused(void)
{
    return refuse > 0 && --refuse == 0;
}

int __wrap_job_post_handover(struct job *, const void *, size_t, int, int, struct job_request *);
int __wrap_job_post_receive(struct job *, void *, size_t, int, int, struct job_request *);
int __wrap_job_done(struct job_request *, bool *, size_t *);
void __wrap_job_cancel(struct job_request *);

int __wrap_job_post_handover(struct job *job, const void *bytes, size_t size, int leader, int tag,
                             struct job_request *request)
{
    assert_int_equal(tag, WIRE_TAG_STREAM);
    assert_true(n_sent < MOST_MESSAGES);
    if (refused()) {
        return 1;
    }
    sent[n_sent] = (struct message){job->leader, leader, bytes, size, false};
    request->handle = -1 - n_sent++;
    n_open++;
    return 0;
}

int __wrap_job_post_receive(struct job *job, void *bytes, size_t size, int leader, int tag,
                            struct job_request *request)
{
    assert_int_equal(tag, WIRE_TAG_STREAM);
    assert_true(n_posted < MOST_MESSAGES);
    if (refused()) {
        return 1;
    }
    posted[n_posted] = (struct expected){job, bytes, size, 0, leader, false, false};
    request->handle = n_posted++;
    return 0;
}

/* The oldest message that this receive may take; an older receive of the same node goes first. */
static void match(int64_t i)
{
    struct expected *e = &posted[i];

    for (int64_t k = 0; k < i; k++) {
        if (posted[k].job == e->job && !posted[k].done && !posted[k].withdrawn) {
            match(k);
            if (!posted[k].done) {
                return;
            }
        }
    }
    for (int64_t k = 0; k < n_sent; k++) {
        struct message *m = &sent[k];

        if (!m->received && m->to == e->job->leader && m->from == e->from) {
            assert_true(m->size <= e->room);
            memcpy(e->bytes, m->bytes, m->size);
            e->came = m->size;
            e->done = m->received = true;
            return;
        }
    }
}

int __wrap_job_done(struct job_request *request, bool *done, size_t *size)
{
    int64_t i = request->handle;

    if (refused()) {
        return 1;
    }
    if (i < 0) {
        *done = sent[-1 - i].received;
        n_open -= *done;
        return 0;
    }
    match(i);
    *done = posted[i].done;
    *size = posted[i].came;
    return 0;
}

void __wrap_job_cancel(struct job_request *request)
{
    posted[request->handle].withdrawn = true;
}

/* --- a job --- */

static struct job jobs[MOST_NODES];
static struct tree relays[MOST_NODES];
static unsigned taken[MOST_NODES];
static bool stopped[MOST_NODES];

static void open_job(int n)
{
    n_sent = n_posted = n_open = refuse = 0;
    memset(taken, 0, sizeof taken);
    memset(stopped, 0, sizeof stopped);
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct job){.leader = i, .n_nodes = n};
        assert_int_equal(tree_open(&relays[i], &jobs[i]), 0);
    }
}

/* Frames that a child has not begun to receive are MPI's: they stay allocated. Here no MPI wants
 * them. */
static void close_relay(struct tree *r)
{
    struct wire_frame *kept[TREE_FRAMES] = {NULL};

    for (int i = 0; i < TREE_FRAMES; i++) {
        for (int c = 0; c < TREE_FANOUT; c++) {
            kept[i] = r->slots[i].sending[c] ? r->slots[i].frame : kept[i];
        }
    }
    tree_close(r);
    for (int i = 0; i < TREE_FRAMES; i++) {
        free(kept[i]);
    }
}

static void close_job(int n)
{
    for (int i = 0; i < n; i++) {
        close_relay(&relays[i]);
    }
}

static bool send(unsigned number, enum wire_type type)
{
    struct wire_frame *frame = tree_free_frame(&relays[0]);

    if (frame == NULL) {
        return false;
    }
    frame->type = type;
    frame->size = sizeof number + number % 5 * 100;
    memset(frame->bytes, (int)number, frame->size);
    memcpy(frame->bytes, &number, sizeof number);
    assert_int_equal(tree_send(&relays[0], frame), 0);
    return true;
}

/* Each frame comes once, in order, whole. */
static void take_frame(int node)
{
    const struct wire_frame *frame = tree_next(&relays[node]);
    unsigned number;

    if (frame == NULL) {
        return;
    }
    memcpy(&number, frame->bytes, sizeof number);
    assert_int_equal(number, taken[node]++);
    assert_int_equal(frame->size, sizeof number + number % 5 * 100);
    tree_consumed(&relays[node]);
}

/* One round of the nodes' loops, in an order that changes. */
static void run_round(int n)
{
    int first = (int)(random() % n);

    for (int i = 0; i < n; i++) {
        int node = (first + i) % n;

        if (!stopped[node]) {
            assert_int_equal(tree_progress(&relays[node]), 0);
            take_frame(node);
        }
    }
}

static bool all_through(int n, unsigned frames)
{
    for (int i = 0; i < n; i++) {
        if ((i > 0 && taken[i] != frames) || tree_in_flight(&relays[i])) {
            return false;
        }
    }
    return true;
}

static int tree_run(int n, unsigned frames)
{
    unsigned next = 0;
    int rounds = 0;

    while (!all_through(n, frames) || next < frames) {
        assert_true(++rounds < 2000);
        if (next < frames && send(next, next == frames - 1 ? WIRE_END : WIRE_DATA)) {
            next++;
        }
        run_round(n);
    }
    return rounds;
}

/* --- tests --- */

static int log_fanout(int node)
{
    int depth = 0;
    long last = 0; /* of this depth */
    long width = 1;

    while (node > last) {
        width *= TREE_FANOUT;
        last += width;
        depth++;
    }
    return depth;
}

static void the_tree_reaches_every_node_once(void **state)
{
    struct tree_position last;

    (void)state;
    for (int n = 1; n <= MOST_NODES; n++) {
        static int parents[MOST_NODES];

        memset(parents, 0, sizeof parents);
        for (int i = 0; i < n; i++) {
            struct tree_position p = tree_position(i, n);

            assert_in_range(p.n_children, 0, TREE_FANOUT);
            assert_int_equal(p.depth, log_fanout(i));
            assert_true(i == 0 ? p.parent == -1 : p.parent >= 0 && p.parent < i);
            for (int c = p.first_child; c < p.first_child + p.n_children; c++) {
                assert_in_range(c, i + 1, n - 1);
                assert_int_equal(tree_position(c, n).parent, i);
                parents[c]++;
            }
        }
        for (int i = 0; i < n; i++) {
            assert_int_equal(parents[i], i > 0);
        }
    }
    assert_int_equal(tree_position(9999, 10000).depth, log_fanout(9999));
    assert_int_equal(tree_position(0x7ffffffe, 0x7fffffff).n_children, 0);
    last = tree_position(0x7ffffffe, 0x7fffffff);
    assert_int_equal(last.n_children, 0);
    assert_in_range(tree_position(last.parent, 0x7fffffff).n_children, 1, TREE_FANOUT);
}

static void all_frames_reach_all_nodes_in_order(void **state)
{
    static const int sizes[] = {2, 3, 4, 7, 8, 20};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open_job(sizes[i]);
        tree_run(sizes[i], 100);
        assert_int_equal(n_open, 0);
        for (int node = 1; node < sizes[i]; node++) { /* nothing is expected after END */
            assert_in_range(relays[node].posted, 100, 100 + TREE_FRAMES - 1);
        }
        close_job(sizes[i]);
        for (int64_t k = 0; k < n_posted; k++) {
            assert_true(posted[k].done || posted[k].withdrawn);
        }
    }
}

static void a_job_of_one_node_sends_nothing(void **state)
{
    (void)state;
    open_job(1);
    tree_run(1, 20);
    assert_int_equal(n_sent, 0);
    close_job(1);
}

/* Nobody buffers for a node that has stopped; when it goes on, so do all. */
static void a_stopped_node_holds_up_but_fills_nobody(void **state)
{
    unsigned next = 0;

    (void)state;
    open_job(15);
    stopped[5] = true;
    for (int i = 0; i < 200; i++) {
        next += send(next, WIRE_DATA);
        run_round(15);
    }
    assert_int_equal(taken[5], 0);
    assert_true(taken[1] >= TREE_FRAMES && taken[14] >= TREE_FRAMES);
    assert_in_range(next, TREE_FRAMES, 4 * TREE_FRAMES);
    assert_true(n_open <= 15 * TREE_FRAMES * TREE_FANOUT);
    stopped[5] = false;
    for (int i = 0; i < 200; i++) {
        run_round(15);
    }
    assert_true(all_through(15, next));
    close_job(15);
}

/* A frame whose message has another length than it says, or none. */
static void a_malformed_frame_is_an_error(void **state)
{
    static const size_t sizes[] = {0, 4, sizeof(struct wire_frame) + 7,
                                   sizeof(struct wire_frame) + 9};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct wire_frame *frame = calloc(1, sizeof *frame + 100);

        open_job(2);
        frame->type = WIRE_DATA;
        frame->size = 8;
        sent[n_sent++] = (struct message){0, 1, (char *)frame, sizes[i], false};
        assert_int_not_equal(tree_progress(&relays[1]), 0);
        assert_null(tree_next(&relays[1]));
        close_job(2);
        free(frame);
    }
}

static void mpi_errors_come_through(void **state)
{
    int reached = 0;

    (void)state;
    for (int at = 1; at < 60; at++) {
        int failed = 0;

        open_job(4);
        refuse = at;
        for (int round = 0; round < 3; round++) {
            struct wire_frame *frame = tree_free_frame(&relays[0]);

            frame->type = WIRE_DATA;
            frame->size = 0;
            failed += tree_send(&relays[0], frame) != 0;
            for (int i = 0; i < 4; i++) {
                failed += tree_progress(&relays[i]) != 0;
                while (tree_next(&relays[i]) != NULL) {
                    tree_consumed(&relays[i]);
                }
            }
        }
        close_job(4);
        assert_int_equal(failed, refuse == 0);
        reached += refuse == 0;
    }
    assert_true(reached > 30);
}

static void lack_of_memory_is_an_error(void **state)
{
    (void)state;
    for (int skip = 0; skip < TREE_FRAMES; skip++) {
        jobs[0] = (struct job){.leader = 1, .n_nodes = 2};
        fault_arm(FAULT_malloc, 1, skip, 1);
        assert_int_not_equal(tree_open(&relays[0], &jobs[0]), 0);
        tree_close(&relays[0]);
    }
}

#define relay_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        relay_test(the_tree_reaches_every_node_once),
        relay_test(all_frames_reach_all_nodes_in_order),
        relay_test(a_job_of_one_node_sends_nothing),
        relay_test(a_stopped_node_holds_up_but_fills_nobody),
        relay_test(a_malformed_frame_is_an_error),
        relay_test(mpi_errors_come_through),
        relay_test(lack_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
