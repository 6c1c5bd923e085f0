/* SPDX-License-Identifier: BSD-3-Clause */
/* announced.c - see announced.h */
#include "broadcast/announced.h"

static int listen_to_child(struct announced *a, int i)
{
    return job_post_receive(a->job, &a->heard[i], sizeof a->heard[i], a->place.first_child + i,
                            WIRE_TAG_ANNOUNCED, &a->receives[i]);
}

int announced_open(struct announced *a, struct job *job)
{
    int e = 0;

    *a = (struct announced){
        .job = job, .place = tree_position(job->leader, job->n_nodes), .open = true};
    for (int i = 0; i < a->place.n_children && e == 0; i++) {
        e = listen_to_child(a, i);
    }
    return e;
}

static int hear_child(struct announced *a, int i)
{
    size_t size = 0;
    bool done = false;
    int e = job_done(&a->receives[i], &done, &size);

    if (e != 0 || !done) {
        return e;
    }
    if (size == sizeof a->heard[i]) {
        a->below[i] = a->heard[i];
    }
    return listen_to_child(a, i);
}

/* One message is in flight at a time; the next says what has come meanwhile. */
static int tell_parent(struct announced *a)
{
    bool done = false;
    int e = a->sending ? job_done(&a->send, &done, NULL) : 0;

    a->sending = a->sending && !done;
    if (e != 0 || a->sending || a->place.parent < 0 || a->said == a->all) {
        return e;
    }
    a->said = a->all;
    a->sending = true;
    return job_post_send(a->job, &a->said, sizeof a->said, a->place.parent, WIRE_TAG_ANNOUNCED,
                         &a->send);
}

int announced_work(struct announced *a, uint32_t here)
{
    int e = 0;

    a->all = here;
    for (int i = 0; i < a->place.n_children && e == 0; i++) {
        e = hear_child(a, i);
        a->all = a->below[i] < a->all ? a->below[i] : a->all;
    }
    return e == 0 ? tell_parent(a) : e;
}

void announced_close(struct announced *a)
{
    for (int i = 0; a->open && i < a->place.n_children; i++) {
        job_cancel(&a->receives[i]);
    }
    a->open = false;
}
