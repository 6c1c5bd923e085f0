/* SPDX-License-Identifier: BSD-3-Clause */
/* announcements.c - see announcements.h */
#include "service/announcements.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cache/changes.h"
#include "policy/policy.h"
#include "service/internal.h"

void announcements_open(struct announcements *a, struct service *s)
{
    *a = (struct announcements){.service = s};
    if (s->job.n_nodes > 1) {
        service_check(s, announced_open(&a->announced, &s->job), "an announcement's receive");
    }
}

static const struct record *publish_announced(struct segment *index, enum record_kind kind,
                                              const char *path, size_t length, uint64_t inode)
{
    struct fi_query key = query_make(kind, inode, path, length);

    return segment_add(index, &key, 0, NULL, 0);
}

static bool is_announced(const struct announcements *a, const struct fi_query *q)
{
    for (uint32_t i = 0; i < a->n_live; i++) {
        if (a->live[i]->argument == q->argument && strcmp(a->live[i]->path, q->path) == 0) {
            return true;
        }
    }
    return false;
}

static bool may_be_live(const struct service *s, const struct fi_query *q)
{
    return s->job.n_nodes > 1 && path_is_normal(q->path, q->length) &&
           (policy_verdict(&s->policy, q->path, q->length) != NOT_OURS ||
            policy_leads_to_root(&s->policy, q->path, q->length));
}

/* A change that cannot be announced ends the service: then no node answers anything any more. */
static void cannot_announce(const struct announcements *a)
{
    service_check(a->service, -1, "announcing a change");
}

void announcements_take(struct announcements *a, const struct fi_query *q)
{
    struct node_cache *node = &a->service->node;
    const struct record **more;
    const struct record *live;

    if (!may_be_live(a->service, q) || is_announced(a, q)) {
        return;
    }
    more = realloc(a->live, (a->n_live + 1) * sizeof *more);
    if (more == NULL) {
        cannot_announce(a);
        return;
    }
    a->live = more;
    live = publish_announced(&node->index, RECORD_LIVE, q->path, q->length, q->argument);
    if (live == NULL) {
        cannot_announce(a);
        return;
    }
    if (!change_note_live(node, q->path, q->length, (ino_t)q->argument)) {
        changes_mark_lost(node);
    }
    a->live[a->n_live++] = live;
}

bool announcements_work(struct announcements *a)
{
    struct service *s = a->service;
    bool worked = false;

    if (s->job.n_nodes == 1 ||
        !service_check(s, announced_work(&a->announced, a->n_live), "an announcement's receive")) {
        return false;
    }
    while (a->n_everywhere < a->announced.all) {
        const struct record *live = a->live[a->n_everywhere++];

        publish_announced(&s->node.index, RECORD_EVERYWHERE, live->path, live->path_length, 0);
        publish_announced(&s->node.index, RECORD_EVERYWHERE, live->path, live->path_length,
                          live->argument);
        segment_announce(&s->node.index);
        worked = true;
    }
    return worked;
}

void announcements_close(struct announcements *a)
{
    if (a->service->broken) {
        return;
    }
    announced_close(&a->announced);
    free(a->live);
    a->live = NULL;
    a->n_live = 0;
}
