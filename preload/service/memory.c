/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.c - see memory.h */
#include "service/memory.h"

#include "base/log.h"
#include "base/sys.h"
#include "cache/room.h"
#include "dlopen/closure.h"

enum {
    STEP = 64,            /* contents in one round */
    AGAIN_IN_PERIODS = 6, /* so many times FASTIMPORT_IDLE_MS between two walks */
    TIGHT_PAUSE = 30 /* so many looks at the limits are left out after a walk for lack of memory */
};

static const int64_t limits_every_ns = 2000000000;

void memory_begin(struct memory *m, struct service *s)
{
    int64_t now = sys_now_ns();

    *m = (struct memory){.service = s, .grown = now, .next_limits = now + limits_every_ns};
}

static uint64_t tail_of(const struct memory *m)
{
    return atomic_load(&m->service->node.index.header->tail);
}

/* Goes on with the walk. What it writes into the index itself is no growth. */
static void memory_walk(struct memory *m)
{
    int64_t idle_ns = (int64_t)m->service->input.config->idle_ms * 1000000;

    m->walking = give_back_some(&m->walk, STEP);
    m->tail = tail_of(m);
    if (!m->walking && m->walk.how == GIVE_BACK_HERE) {
        m->next_limits = sys_now_ns() + TIGHT_PAUSE * limits_every_ns;
    } else if (!m->walking) {
        m->next_walk = sys_now_ns() + AGAIN_IN_PERIODS * idle_ns;
        fi_log(LOG_DEBUG, "given back so far: %llu bytes",
               (unsigned long long)atomic_load(&fi_count->bytes_given_back));
    }
}

static void memory_start_walk(struct memory *m, enum give_back_how how)
{
    give_back_begin(&m->walk, &m->service->node, how);
    m->walking = true;
}

static bool is_quiet(struct memory *m, int64_t now)
{
    uint64_t tail = tail_of(m);

    if (tail != m->tail) {
        m->tail = tail;
        m->grown = now;
        m->next_walk = 0;
    }
    return now - m->grown >= (int64_t)m->service->input.config->idle_ms * 1000000 &&
           now >= m->next_walk;
}

static bool is_tight(struct memory *m, int64_t now)
{
    struct memory_limit limits[MEMORY_LIMITS];

    if (now < m->next_limits || atomic_load(&m->service->node.index.header->content_bytes) == 0) {
        return false;
    }
    m->next_limits = now + limits_every_ns;
    return room_is_tight(limits, memory_limits_read(limits));
}

void memory_work(struct memory *m, bool may_give_back)
{
    int64_t now = sys_now_ns();
    bool quiet = is_quiet(m, now);

    if (m->walking && (m->walk.how == GIVE_BACK_HERE || may_give_back)) {
        memory_walk(m);
    } else if (!m->walking && is_tight(m, now)) {
        fi_log_once(LOG_INFO, "memory has become scarce: what is not in use leaves the node cache");
        memory_start_walk(m, GIVE_BACK_HERE);
    } else if (!m->walking && may_give_back && quiet) {
        closure_mark_used_files(&m->service->node.index);
        memory_start_walk(m, GIVE_BACK_EVERYWHERE);
    }
}
