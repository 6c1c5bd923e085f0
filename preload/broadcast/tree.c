/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.c - see tree.h */
#include "broadcast/tree.h"

#include <stdlib.h>

struct tree_position tree_position(int leader, int n_nodes)
{
    struct tree_position place = {.parent = leader == 0 ? -1 : (leader - 1) / TREE_FANOUT};
    int64_t first = (int64_t)leader * TREE_FANOUT + 1;

    if (first < n_nodes) {
        place.first_child = (int)first;
        place.n_children = n_nodes - first < TREE_FANOUT ? (int)(n_nodes - first) : TREE_FANOUT;
    }
    for (int above = leader; above > 0; above = (above - 1) / TREE_FANOUT) {
        place.depth++;
    }
    return place;
}

static struct tree_slot *slot_of(struct tree *r, unsigned number)
{
    return &r->slots[number % TREE_FRAMES];
}

/* Posts receives into all free slots. */
static int tree_expect(struct tree *r)
{
    int e = 0;

    while (e == 0 && r->place.parent >= 0 && !r->ended && r->posted - r->released < TREE_FRAMES) {
        struct tree_slot *slot = slot_of(r, r->posted);

        e = job_post_receive(r->job, slot->frame, WIRE_FRAME, r->place.parent, WIRE_TAG_STREAM,
                             &slot->receive);
        r->posted += e == 0;
    }
    return e;
}

int tree_open(struct tree *r, struct job *job)
{
    *r = (struct tree){.job = job, .place = tree_position(job->leader, job->n_nodes)};
    for (int i = 0; i < TREE_FRAMES; i++) {
        r->slots[i].frame = malloc(WIRE_FRAME);
        if (r->slots[i].frame == NULL) {
            return -1;
        }
    }
    return tree_expect(r);
}

static int pass_on(struct tree *r, struct tree_slot *slot)
{
    size_t size = sizeof *slot->frame + slot->frame->size;
    int e = 0;

    for (int i = 0; i < r->place.n_children && e == 0; i++) {
        e = job_post_handover(r->job, slot->frame, size, r->place.first_child + i, WIRE_TAG_STREAM,
                              &slot->sends[i]);
        slot->sending[i] = e == 0;
    }
    return e;
}

/* Frames are looked for in the order in which they were sent. */
static int arrive(struct tree *r)
{
    int e = 0;

    while (e == 0 && r->arrived != r->posted) {
        struct tree_slot *slot = slot_of(r, r->arrived);
        size_t size = 0;
        bool done = false;

        e = job_done(&slot->receive, &done, &size);
        if (e != 0 || !done) {
            break;
        }
        if (size < sizeof *slot->frame || size != sizeof *slot->frame + slot->frame->size) {
            return -1;
        }
        r->arrived++;
        r->ended |= slot->frame->type == WIRE_END;
        e = pass_on(r, slot);
    }
    return e;
}

static int check_sends(struct tree *r, struct tree_slot *slot, bool *all_done)
{
    int e = 0;

    *all_done = true;
    for (int i = 0; i < r->place.n_children && e == 0; i++) {
        if (slot->sending[i]) {
            bool done = false;

            e = job_done(&slot->sends[i], &done, NULL);
            slot->sending[i] = !done;
            *all_done &= done;
        }
    }
    return e;
}

static int tree_release(struct tree *r)
{
    int e = 0;

    while (e == 0 && r->released != r->taken) {
        bool done;

        e = check_sends(r, slot_of(r, r->released), &done);
        if (e != 0 || !done) {
            break;
        }
        r->released++;
    }
    return e;
}

int tree_progress(struct tree *r)
{
    int e = arrive(r);

    if (e == 0) {
        e = tree_release(r);
    }
    return e == 0 ? tree_expect(r) : e;
}

struct wire_frame *tree_room(struct tree *r)
{
    return r->posted - r->released < TREE_FRAMES ? slot_of(r, r->posted)->frame : NULL;
}

int tree_send(struct tree *r, struct wire_frame *frame)
{
    struct tree_slot *slot = slot_of(r, r->posted);

    (void)frame; /* the one that relay_room() gave */
    r->posted++;
    r->arrived++;
    r->taken++;
    return pass_on(r, slot);
}

const struct wire_frame *tree_next(struct tree *r)
{
    return r->taken != r->arrived ? slot_of(r, r->taken)->frame : NULL;
}

void tree_taken(struct tree *r)
{
    r->taken++;
}

bool tree_in_flight(const struct tree *r)
{
    return r->released != r->arrived;
}

static bool is_sending(const struct tree_slot *slot)
{
    bool sending = false;

    for (int i = 0; i < TREE_FANOUT; i++) {
        sending |= slot->sending[i];
    }
    return sending;
}

void tree_close(struct tree *r)
{
    for (; r->posted != r->arrived; r->posted--) {
        job_cancel(&slot_of(r, r->posted - 1)->receive);
    }
    for (int i = 0; i < TREE_FRAMES; i++) {
        if (!is_sending(&r->slots[i])) {
            free(r->slots[i].frame);
        }
        r->slots[i].frame = NULL;
    }
}
