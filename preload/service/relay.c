/* relay.c - see relay.h */
#include "service/relay.h"

#include <stdlib.h>

struct relay_place relay_place(int leader, int n_nodes)
{
    struct relay_place place = {.parent = leader == 0 ? -1 : (leader - 1) / RELAY_FANOUT};
    int64_t first = (int64_t)leader * RELAY_FANOUT + 1;

    if (first < n_nodes) {
        place.first_child = (int)first;
        place.n_children = n_nodes - first < RELAY_FANOUT ? (int)(n_nodes - first) : RELAY_FANOUT;
    }
    for (int above = leader; above > 0; above = (above - 1) / RELAY_FANOUT) {
        place.depth++;
    }
    return place;
}

static struct relay_slot *slot_of(struct relay *r, unsigned number)
{
    return &r->slots[number % RELAY_FRAMES];
}

/* Posts receives into all free slots. */
static int expect(struct relay *r)
{
    int e = 0;

    while (e == 0 && r->place.parent >= 0 && !r->ended && r->posted - r->released < RELAY_FRAMES) {
        struct relay_slot *slot = slot_of(r, r->posted);

        e = job_post_receive(r->job, slot->frame, WIRE_FRAME, r->place.parent, WIRE_TAG_STREAM,
                             &slot->receive);
        r->posted += e == 0;
    }
    return e;
}

int relay_open(struct relay *r, struct job *job)
{
    *r = (struct relay){.job = job, .place = relay_place(job->leader, job->n_nodes)};
    for (int i = 0; i < RELAY_FRAMES; i++) {
        r->slots[i].frame = malloc(WIRE_FRAME);
        if (r->slots[i].frame == NULL) {
            return -1;
        }
    }
    return expect(r);
}

static int pass_on(struct relay *r, struct relay_slot *slot)
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
static int arrive(struct relay *r)
{
    int e = 0;

    while (e == 0 && r->arrived != r->posted) {
        struct relay_slot *slot = slot_of(r, r->arrived);
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

static int check_sends(struct relay *r, struct relay_slot *slot, bool *all_done)
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

static int release(struct relay *r)
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

int relay_work(struct relay *r)
{
    int e = arrive(r);

    if (e == 0) {
        e = release(r);
    }
    return e == 0 ? expect(r) : e;
}

struct wire_frame *relay_room(struct relay *r)
{
    return r->posted - r->released < RELAY_FRAMES ? slot_of(r, r->posted)->frame : NULL;
}

int relay_send(struct relay *r, struct wire_frame *frame)
{
    struct relay_slot *slot = slot_of(r, r->posted);

    (void)frame; /* the one that relay_room() gave */
    r->posted++;
    r->arrived++;
    r->taken++;
    return pass_on(r, slot);
}

const struct wire_frame *relay_next(struct relay *r)
{
    return r->taken != r->arrived ? slot_of(r, r->taken)->frame : NULL;
}

void relay_taken(struct relay *r)
{
    r->taken++;
}

bool relay_in_flight(const struct relay *r)
{
    return r->released != r->arrived;
}

static bool is_sending(const struct relay_slot *slot)
{
    bool sending = false;

    for (int i = 0; i < RELAY_FANOUT; i++) {
        sending |= slot->sending[i];
    }
    return sending;
}

void relay_close(struct relay *r)
{
    for (; r->posted != r->arrived; r->posted--) {
        job_cancel(&slot_of(r, r->posted - 1)->receive);
    }
    for (int i = 0; i < RELAY_FRAMES; i++) {
        if (!is_sending(&r->slots[i])) {
            free(r->slots[i].frame);
        }
        r->slots[i].frame = NULL;
    }
}
