/* SPDX-License-Identifier: BSD-3-Clause */
/* fill.c - see fill.h */
#include "fill/fill.h"

#include "base/log.h"
#include "base/sys.h"
#include "fill/claim.h"

enum {
    SLICE_NS = 100000000,
    SLICE_UNASKED_NS = 2000000,
    FIRST_WAIT_START_NS = 2000000,
    FIRST_WAIT_MIN_NS = 10000,
    FIRST_WAIT_MAX_NS = 20000000,
    FIRST_WAIT_BULK_NS = 100000000,
    LONGEST_WAIT = 12, /* in units of wait_ns, even if the service is alive */
};

void fill_init(struct fill *f, struct node_cache *node, bool is_root, uint64_t max_file,
               uint64_t wait_ms)
{
    f->node = node;
    f->limits.max_file = max_file;
    f->is_root = is_root;
    f->is_guest = false;
    f->planned = false;
    f->wait_ns = (int64_t)wait_ms * 1000000;
    atomic_init(&f->first_wait_ns, FIRST_WAIT_START_NS);
}

/* A guest's files are seldom those that the root reads just now, so it asks almost at once. */
void fill_init_guest(struct fill *f, struct node_cache *node, uint64_t wait_ms)
{
    fill_init(f, node, false, 0, wait_ms);
    f->is_guest = true;
    atomic_init(&f->first_wait_ns, FIRST_WAIT_MIN_NS);
}

static enum service_state state_of(const struct fill *f)
{
    return (enum service_state)atomic_load_explicit(&f->node->index.header->state,
                                                    memory_order_acquire);
}

static bool service_answers(const struct fill *f)
{
    return segment_is_answered(&f->node->index);
}

static bool bulk_is_coming(const struct fill *f)
{
    return atomic_load_explicit(&f->node->index.header->bulk, memory_order_relaxed) != 0 ||
           (f->planned && state_of(f) == SERVICE_STARTING);
}

/* Does this process look things up by itself? */
static bool looks_itself(const struct fill *f)
{
    return f->is_root || !service_answers(f);
}

/* Once the stream has ended, a record stays on this node. */
static uint8_t flags_now(const struct fill *f)
{
    return f->is_root && service_answers(f) ? 0 : RECORD_LOCAL;
}

static const struct record *fill_look(struct fill *f, const struct fi_query *q, uint8_t flags)
{
    const struct record *r = segment_find(&f->node->index, q);

    if (r == NULL) {
        r = lookup_real(f->node, q, flags, &f->limits);
        segment_announce(&f->node->index);
        claim_progress();
    }
    return r;
}

/* A rank's wait: when the service last showed a sign of life. */
struct wait_budget {
    int64_t started;
    int64_t last_sign;
    uint64_t progress;
    struct claim_watch reader; /* who looks up, in the root, what is waited for */
};

static bool is_full(const struct fill *f)
{
    return atomic_load_explicit(&f->node->index.header->full, memory_order_relaxed) != 0;
}

/* Does it make sense to wait longer? An answer for which the index has no room will never come. */
static bool may_still_arrive(const struct fill *f, struct wait_budget *p)
{
    uint64_t progress =
        atomic_load_explicit(&f->node->index.header->progress, memory_order_relaxed);
    int64_t now = sys_now_ns();

    if (progress != p->progress) {
        p->progress = progress;
        p->last_sign = now;
    }
    if (claim_has_moved(&p->reader)) {
        p->started = now;
    }
    return !is_full(f) && now - p->last_sign < f->wait_ns &&
           now - p->started < f->wait_ns * LONGEST_WAIT;
}

/* What a rank waits for: the record, or the listing of its directory, from which an answer may
 * follow (NULL: none). */
struct awaited {
    const struct fi_query *answer;
    const struct fi_query *listing;
};

static const struct record *fill_arrived(const struct segment *s, const struct awaited *a)
{
    const struct record *r = segment_find(s, a->answer);

    return r != NULL || a->listing == NULL ? r : segment_find(s, a->listing);
}

/* Sleeps until one of the two is there, the time `until` is over, or the service has changed its
 * state. */
static const struct record *fill_await(struct fill *f, const struct awaited *a, int64_t until)
{
    struct segment *s = &f->node->index;
    bool before = service_answers(f);

    for (;;) {
        uint32_t generation = atomic_load(&s->header->generation);
        const struct record *r = fill_arrived(s, a);
        int64_t left = until - sys_now_ns();

        if (r != NULL || left <= 0 || service_answers(f) != before) {
            return r;
        }
        segment_wait(s, generation, left);
    }
}

/* Adapts the first wait: a record that came on request was not in the stream. */
static void fill_learn(struct fill *f, const struct record *r)
{
    int64_t wait_ns = atomic_load_explicit(&f->first_wait_ns, memory_order_relaxed);

    if ((record_flags(r) & RECORD_BY_REQUEST) != 0) {
        wait_ns /= 4;
    } else {
        wait_ns *= 2;
    }
    if (wait_ns < FIRST_WAIT_MIN_NS) {
        wait_ns = FIRST_WAIT_MIN_NS;
    } else if (wait_ns > FIRST_WAIT_MAX_NS) {
        wait_ns = FIRST_WAIT_MAX_NS;
    }
    atomic_store_explicit(&f->first_wait_ns, wait_ns, memory_order_relaxed);
}

void fill_tell_silence(struct fill *f)
{
    struct segment_header *h = f->node->index.header;

    if (service_answers(f) && atomic_exchange(&h->silence_told, 1) == 0) {
        fi_log(LOG_WARN,
               "no sign of life from the root for %lld ms: this node uses the file system itself "
               "until it hears from it",
               (long long)(f->wait_ns / 1000000));
    }
}

/* On a node that is the only one of its job, the service that is silent is that of the node: it has
 * been killed, or is stuck. */
static void fill_give_up(struct fill *f)
{
    struct segment *s = &f->node->index;

    fill_tell_silence(f);
    if (atomic_load(&s->header->silence_ns) == 0) {
        atomic_store(&s->header->state, SERVICE_DEAD);
        segment_announce(s);
    }
}

/* The claim to ask the root for a key differs from the claim to look it up: on the root's node both
 * are held at the same time. */
static uint64_t request_claim(const struct fi_query *q)
{
    return ~q->hash;
}

/* One process of the node asks the root. If another key occupies the claim's slot, this process
 * asks, too. Returns false if the queue to the leader is full. */
static bool ask_once(struct fill *f, const struct fi_query *q, bool mine)
{
    struct segment *s = &f->node->index;

    if (!mine && segment_claimed(s, request_claim(q))) {
        return true;
    }
    if (!segment_ask(s, q)) {
        return false;
    }
    count_add(&fi_count->requests, 1);
    return true;
}

/* Waits in slices of 100 ms, so that a dead service is noticed, and in slices of 2 ms while the
 * queue has no room for the request. */
static const struct record *fill_await_request(struct fill *f, const struct awaited *a, bool mine)
{
    struct wait_budget p = {sys_now_ns(), sys_now_ns(), 0,
                            claim_watch(&f->node->index, a->answer->hash)};
    const struct record *r = NULL;
    bool asked = false;

    while (r == NULL && service_answers(f) && may_still_arrive(f, &p)) {
        asked = asked || ask_once(f, a->answer, mine);
        r = fill_await(f, a, sys_now_ns() + (asked ? SLICE_NS : SLICE_UNASKED_NS));
    }
    if (r == NULL && service_answers(f) && sys_now_ns() - p.last_sign >= f->wait_ns) {
        fill_give_up(f);
    }
    return r;
}

/* For ranks other than the root: waits for the stream, then asks. */
static const struct record *fill_ask(struct fill *f, const struct awaited *a)
{
    bool bulk = bulk_is_coming(f);
    int64_t wait_ns =
        bulk ? FIRST_WAIT_BULK_NS : atomic_load_explicit(&f->first_wait_ns, memory_order_relaxed);
    const struct record *r = fill_await(f, a, sys_now_ns() + wait_ns);
    bool mine;

    if (r != NULL) {
        return r;
    }
    mine = segment_claim(&f->node->index, request_claim(a->answer));
    r = fill_await_request(f, a, mine);
    if (mine) {
        segment_unclaim(&f->node->index, request_claim(a->answer));
    }
    if (r != NULL && !bulk) {
        fill_learn(f, r);
    }
    return r;
}

/* Waits for a process of this node that is looking something up, as long as it makes progress. */
static const struct record *fill_await_claim(struct fill *f, const struct awaited *a,
                                             uint64_t claimed)
{
    struct claim_watch watch = claim_watch(&f->node->index, claimed);
    const struct record *r;

    do {
        r = fill_await(f, a, sys_now_ns() + SLICE_NS);
    } while (r == NULL && claim_is_alive(&watch, f->wait_ns));
    return r == NULL ? fill_arrived(&f->node->index, a) : r;
}

/* For ranks that look things up themselves: does it, or waits for a process that is just doing
 * it. */
static const struct record *fill_here(struct fill *f, const struct fi_query *q, uint8_t flags)
{
    struct segment *s = &f->node->index;
    const struct awaited awaited = {q, NULL};
    const struct record *r = NULL;
    struct claim claim;

    if (claim_take(&claim, s, q->hash)) {
        r = fill_look(f, q, flags);
        claim_drop(&claim);
        return r;
    }
    if (segment_claimed(s, q->hash)) {
        r = fill_await_claim(f, &awaited, q->hash);
    }
    return r != NULL ? r : fill_look(f, q, flags);
}

/* The listing, if it has come meanwhile or a process is just reading it. */
static const struct record *fill_await_listing(struct fill *f, const struct awaited *a)
{
    if (a->listing == NULL) {
        return NULL;
    }
    if (!segment_claimed(&f->node->index, a->listing->hash)) {
        return segment_find(&f->node->index, a->listing);
    }
    return fill_await_claim(f, a, a->listing->hash);
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
    if (f->is_guest && (!service_answers(f) || segment_is_filtered(&f->node->index))) {
        *why = FALLBACK_ENDED;
        return NULL;
    }
    if (!looks_itself(f)) {
        int64_t start = sys_now_ns();

        r = fill_ask(f, &awaited);
        count_add(&fi_count->waiting_ns, (uint64_t)(sys_now_ns() - start));
        if (r != NULL || f->is_guest || !looks_itself(f)) {
            return r;
        }
    }
    r = fill_await_listing(f, &awaited);
    if (r == NULL) {
        r = fill_here(f, q, flags_now(f));
    }
    if (r == NULL) {
        *why = FALLBACK_NO_MEMORY;
    }
    return r;
}

const struct record *fill_search(struct fill *f, const struct fi_query *q)
{
    return fill_here(f, q, flags_now(f) | RECORD_SEARCHED);
}

void fill_and_unclaim(struct fill *f, const struct fi_query *q)
{
    struct claim claim;

    claim_adopt(&claim, &f->node->index, q->hash);
    fill_look(f, q, flags_now(f));
    claim_drop(&claim);
}

void fill_for_others(struct fill *f, const struct fi_query *q, uint8_t flags)
{
    struct segment *s = &f->node->index;
    struct claim claim;
    bool mine = claim_take(&claim, s, q->hash);

    if (!mine && segment_claimed(s, q->hash)) {
        return;
    }
    fill_look(f, q, flags);
    if (mine) {
        claim_drop(&claim);
    }
}
