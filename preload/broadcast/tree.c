/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.c - see tree.h */
#include "broadcast/tree.h"

#include <stdlib.h>

struct tree_position tree_position(int leader, int n_nodes)
{
    struct tree_position position = {.parent = leader == 0 ? -1 : (leader - 1) / TREE_FANOUT};
    int64_t first = (int64_t)leader * TREE_FANOUT + 1;

    if (first < n_nodes) {
        position.first_child = (int)first;
        position.n_children = n_nodes - first < TREE_FANOUT ? (int)(n_nodes - first) : TREE_FANOUT;
    }
    for (int above = leader; above > 0; above = (above - 1) / TREE_FANOUT) {
        position.depth++;
    }
    return position;
}

static struct tree_slot *slot_of(struct tree *t, unsigned number)
{
    return &t->slots[number % TREE_FRAMES];
}

/* Posts receives into all free slots. */
static int tree_expect(struct tree *t)
{
    int e = 0;

    while (e == 0 && t->position.parent >= 0 && !t->ended &&
           t->posted - t->released < TREE_FRAMES) {
        struct tree_slot *slot = slot_of(t, t->posted);

        e = job_post_receive(t->job, slot->frame, WIRE_FRAME, t->position.parent, WIRE_TAG_STREAM,
                             &slot->receive);
        t->posted += e == 0;
    }
    return e;
}

int tree_open(struct tree *t, struct job *job)
{
    *t = (struct tree){.job = job, .position = tree_position(job->leader, job->n_nodes)};
    for (int i = 0; i < TREE_FRAMES; i++) {
        t->slots[i].frame = malloc(WIRE_FRAME);
        if (t->slots[i].frame == NULL) {
            return -1;
        }
    }
    return tree_expect(t);
}

static int forward_frame(struct tree *t, struct tree_slot *slot)
{
    size_t size = sizeof *slot->frame + slot->frame->size;
    int e = 0;

    for (int i = 0; i < t->position.n_children && e == 0; i++) {
        e = job_post_handover(t->job, slot->frame, size, t->position.first_child + i,
                              WIRE_TAG_STREAM, &slot->sends[i]);
        slot->sending[i] = e == 0;
    }
    return e;
}

/* Forwards the frames that have arrived, in the order in which they were sent. */
static int take_arrivals(struct tree *t)
{
    int e = 0;

    while (e == 0 && t->arrived != t->posted) {
        struct tree_slot *slot = slot_of(t, t->arrived);
        size_t size = 0;
        bool done = false;

        e = job_done(&slot->receive, &done, &size);
        if (e != 0 || !done) {
            break;
        }
        if (size < sizeof *slot->frame || size != sizeof *slot->frame + slot->frame->size) {
            return -1;
        }
        t->arrived++;
        t->ended |= slot->frame->type == WIRE_END;
        e = forward_frame(t, slot);
    }
    return e;
}

static int check_sends(struct tree *t, struct tree_slot *slot, bool *all_done)
{
    int e = 0;

    *all_done = true;
    for (int i = 0; i < t->position.n_children && e == 0; i++) {
        if (slot->sending[i]) {
            bool done = false;

            e = job_done(&slot->sends[i], &done, NULL);
            slot->sending[i] = !done;
            *all_done &= done;
        }
    }
    return e;
}

static int tree_release(struct tree *t)
{
    int e = 0;

    while (e == 0 && t->released != t->consumed) {
        bool done;

        e = check_sends(t, slot_of(t, t->released), &done);
        if (e != 0 || !done) {
            break;
        }
        t->released++;
    }
    return e;
}

int tree_progress(struct tree *t)
{
    int e = take_arrivals(t);

    if (e == 0) {
        e = tree_release(t);
    }
    return e == 0 ? tree_expect(t) : e;
}

struct wire_frame *tree_free_frame(struct tree *t)
{
    return t->posted - t->released < TREE_FRAMES ? slot_of(t, t->posted)->frame : NULL;
}

int tree_send(struct tree *t, struct wire_frame *frame)
{
    struct tree_slot *slot = slot_of(t, t->posted);

    (void)frame; /* it is the one that tree_free_frame() returned */
    t->posted++;
    t->arrived++;
    t->consumed++;
    return forward_frame(t, slot);
}

const struct wire_frame *tree_next(struct tree *t)
{
    return t->consumed != t->arrived ? slot_of(t, t->consumed)->frame : NULL;
}

void tree_consumed(struct tree *t)
{
    t->consumed++;
}

bool tree_in_flight(const struct tree *t)
{
    return t->released != t->arrived;
}

static bool is_sending(const struct tree_slot *slot)
{
    bool sending = false;

    for (int i = 0; i < TREE_FANOUT; i++) {
        sending |= slot->sending[i];
    }
    return sending;
}

void tree_close(struct tree *t)
{
    for (; t->posted != t->arrived; t->posted--) {
        job_cancel(&slot_of(t, t->posted - 1)->receive);
    }
    for (int i = 0; i < TREE_FRAMES; i++) {
        if (!is_sending(&t->slots[i])) {
            free(t->slots[i].frame);
        }
        t->slots[i].frame = NULL;
    }
}
