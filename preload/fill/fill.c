/* SPDX-License-Identifier: BSD-3-Clause */
/* fill.c - see fill.h */
#include "fill/fill.h"

#include "base/log.h"
#include "base/sys.h"

enum {
    PATIENCE_START_NS = 2000000,
    PATIENCE_MIN_NS = 10000,
    PATIENCE_MAX_NS = 20000000,
    PATIENCE_BULK_NS = 100000000,
    LONGEST_WAIT = 12, /* in units of wait_ns, however lively the service */
};

void fill_init(struct fill *f, struct node_cache *node, bool is_root, uint64_t max_file,
               uint64_t wait_ms)
{
    f->node = node;
    f->limits.max_file = max_file;
    f->is_root = is_root;
    f->planned = false;
    f->wait_ns = (int64_t)wait_ms * 1000000;
    atomic_init(&f->first_wait_ns, PATIENCE_START_NS);
}

static enum service_state state_of(const struct fill *f)
{
    return (enum service_state)atomic_load_explicit(&f->node->index.header->state,
                                                    memory_order_acquire);
}

/* Will somebody answer? (At the start a request waits for the leader to begin.) */
static bool served(const struct fill *f)
{
    enum service_state state = state_of(f);

    return state == SERVICE_RUNNING || state == SERVICE_STARTING;
}

static bool bulk_is_coming(const struct fill *f)
{
    return atomic_load_explicit(&f->node->index.header->bulk, memory_order_relaxed) != 0 ||
           (f->planned && state_of(f) == SERVICE_STARTING);
}

/* Does this process look for itself? */
static bool looks_itself(const struct fill *f)
{
    return f->is_root || !served(f);
}

/* Once the stream has ended, what is found stays on this node. */
static uint8_t flags_now(const struct fill *f)
{
    return f->is_root && served(f) ? 0 : RECORD_LOCAL;
}

static const struct record *fill_look(struct fill *f, const struct fi_query *q, uint8_t flags)
{
    const struct record *r = segment_find(&f->node->index, q);

    if (r == NULL) {
        r = lookup_real(f->node, q, flags, &f->limits);
        segment_announce(&f->node->index);
    }
    return r;
}

/* Tracks signs of life of the service while a rank waits. */
struct wait_budget {
    int64_t started;
    int64_t last_sign;
    uint64_t progress;
};

static bool is_full(const struct fill *f)
{
    return atomic_load_explicit(&f->node->index.header->full, memory_order_relaxed) != 0;
}

/* (An answer that has no room in the index will never come.) */
static bool still_hopes(const struct fill *f, struct wait_budget *p)
{
    uint64_t progress =
        atomic_load_explicit(&f->node->index.header->progress, memory_order_relaxed);
    int64_t now = sys_now_ns();

    if (progress != p->progress) {
        p->progress = progress;
        p->last_sign = now;
    }
    return !is_full(f) && now - p->last_sign < f->wait_ns &&
           now - p->started < f->wait_ns * LONGEST_WAIT;
}

/* What is waited for: an answer, or the listing from which it may follow (NULL: none). */
struct awaited {
    const struct fi_query *answer;
    const struct fi_query *listing;
};

static const struct record *fill_arrived(const struct segment *s, const struct awaited *h)
{
    const struct record *r = segment_find(s, h->answer);

    return r != NULL || h->listing == NULL ? r : segment_find(s, h->listing);
}

/* Sleeps until the record is there, `until` is over, or the service has changed its state. */
static const struct record *await(struct fill *f, const struct awaited *h, int64_t until)
{
    struct segment *s = &f->node->index;
    bool before = served(f);

    for (;;) {
        uint32_t generation = atomic_load(&s->header->generation);
        const struct record *r = fill_arrived(s, h);
        int64_t left = until - sys_now_ns();

        if (r != NULL || left <= 0 || served(f) != before) {
            return r;
        }
        segment_wait(s, generation, left);
    }
}

static void fill_learn(struct fill *f, const struct record *r)
{
    int64_t wait_budget = atomic_load_explicit(&f->first_wait_ns, memory_order_relaxed);

    if ((record_flags(r) & RECORD_BY_REQUEST) != 0) {
        wait_budget /= 4;
    } else {
        wait_budget *= 2;
    }
    wait_budget = wait_budget < PATIENCE_MIN_NS   ? PATIENCE_MIN_NS
                  : wait_budget > PATIENCE_MAX_NS ? PATIENCE_MAX_NS
                                                  : wait_budget;
    atomic_store_explicit(&f->first_wait_ns, wait_budget, memory_order_relaxed);
}

static void fill_give_up(struct fill *f)
{
    if (atomic_exchange(&f->node->index.header->state, SERVICE_DEAD) != SERVICE_DEAD) {
        fi_log(LOG_WARN,
               "no sign of life from the root for %lld ms: this node asks the file system itself "
               "from now on",
               (long long)(f->wait_ns / 1000000));
        segment_announce(&f->node->index);
    }
}

/* The claim to ask for a key is another than that to look it up: on the root's node both are held
 * at once. */
static uint64_t asking(const struct fi_query *q)
{
    return ~q->hash;
}

/* One process of the node asks; it asks nevertheless if the claim cannot be had because of another
 * key. False: the queue to the leader is full. */
static bool ask_once(struct fill *f, const struct fi_query *q, bool mine)
{
    struct segment *s = &f->node->index;

    if (!mine && segment_claimed(s, asking(q))) {
        return true;
    }
    if (!segment_ask(s, q)) {
        return false;
    }
    count_add(&fi_count->requests, 1);
    return true;
}

/* Waits in slices of at most 100 ms, so that a dead service is noticed; in short ones while the
 * request could not be made. */
static const struct record *await_answer(struct fill *f, const struct awaited *h, bool mine)
{
    struct wait_budget p = {sys_now_ns(), sys_now_ns(), 0};
    const struct record *r = NULL;
    bool asked = false;

    while (r == NULL && served(f) && still_hopes(f, &p)) {
        asked = asked || ask_once(f, h->answer, mine);
        r = await(f, h, sys_now_ns() + (asked ? 100000000 : 2000000));
    }
    if (r == NULL && served(f) && sys_now_ns() - p.last_sign >= f->wait_ns) {
        fill_give_up(f);
    }
    return r;
}

/* The way of a rank that is not the root: first the stream, then a request. */
static const struct record *fill_ask(struct fill *f, const struct awaited *h)
{
    bool bulk = bulk_is_coming(f);
    int64_t wait_budget =
        bulk ? PATIENCE_BULK_NS : atomic_load_explicit(&f->first_wait_ns, memory_order_relaxed);
    const struct record *r = await(f, h, sys_now_ns() + wait_budget);
    bool mine;

    if (r != NULL) {
        return r;
    }
    mine = segment_claim(&f->node->index, asking(h->answer));
    r = await_answer(f, h, mine);
    if (mine) {
        segment_unclaim(&f->node->index, asking(h->answer));
    }
    if (r != NULL && !bulk) {
        fill_learn(f, r);
    }
    return r;
}

/* The way of a rank that looks itself: alone, or behind one that is just looking. */
static const struct record *get_here(struct fill *f, const struct fi_query *q, uint8_t flags)
{
    struct segment *s = &f->node->index;
    const struct awaited awaited = {q, NULL};
    const struct record *r;

    if (!segment_claim(s, q->hash)) {
        if (segment_claimed(s, q->hash)) {
            r = await(f, &awaited, sys_now_ns() + f->wait_ns);
            if (r != NULL) {
                return r;
            }
        }
        return fill_look(f, q, flags);
    }
    r = fill_look(f, q, flags);
    segment_unclaim(s, q->hash);
    return r;
}

/* A listing that has come meanwhile, or that somebody is just reading. */
static const struct record *await_listing(struct fill *f, const struct awaited *h)
{
    if (h->listing == NULL) {
        return NULL;
    }
    if (!segment_claimed(&f->node->index, h->listing->hash)) {
        return segment_find(&f->node->index, h->listing);
    }
    return await(f, h, sys_now_ns() + f->wait_ns);
}

const struct record *fill_get(struct fill *f, const struct fi_query *q,
                              const struct fi_query *listing, enum fallback_reason *why)
{
    const struct awaited awaited = {q, listing};
    const struct record *r;

    *why = FALLBACK_TIMEOUT;
    if (is_full(f)) {
        *why = FALLBACK_NO_MEMORY;
        return NULL;
    }
    if (!looks_itself(f)) {
        int64_t start = sys_now_ns();

        r = fill_ask(f, &awaited);
        count_add(&fi_count->waiting_ns, (uint64_t)(sys_now_ns() - start));
        if (r != NULL || !looks_itself(f)) {
            return r;
        }
    }
    r = await_listing(f, &awaited);
    if (r == NULL) {
        r = get_here(f, q, flags_now(f));
    }
    if (r == NULL) {
        *why = FALLBACK_NO_MEMORY;
    }
    return r;
}

const struct record *fill_search(struct fill *f, const struct fi_query *q)
{
    return get_here(f, q, flags_now(f) | RECORD_SEARCHED);
}

void fill_claimed(struct fill *f, const struct fi_query *q)
{
    fill_look(f, q, flags_now(f));
    segment_unclaim(&f->node->index, q->hash);
}

void fill_for_others(struct fill *f, const struct fi_query *q, uint8_t flags)
{
    struct segment *s = &f->node->index;
    bool mine = segment_claim(s, q->hash);

    if (!mine && segment_claimed(s, q->hash)) {
        return;
    }
    fill_look(f, q, flags);
    if (mine) {
        segment_unclaim(s, q->hash);
    }
}
