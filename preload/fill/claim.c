/* SPDX-License-Identifier: BSD-3-Clause */
/* claim.c - see claim.h */
#include "fill/claim.h"

#include "base/sys.h"

static __thread struct claim *innermost;

void claim_adopt(struct claim *c, struct segment *s, uint64_t hash)
{
    *c = (struct claim){innermost, s, hash};
    innermost = c;
}

bool claim_take(struct claim *c, struct segment *s, uint64_t hash)
{
    if (!segment_claim(s, hash)) {
        return false;
    }
    claim_adopt(c, s, hash);
    return true;
}

void claim_drop(struct claim *c)
{
    innermost = c->outer;
    segment_unclaim(c->segment, c->hash);
}

void claim_progress(void)
{
    for (const struct claim *c = innermost; c != NULL; c = c->outer) {
        segment_move_claim(c->segment, c->hash);
    }
}

struct claim_watch claim_watch(struct segment *s, uint64_t hash)
{
    return (struct claim_watch){s, hash, segment_claim_mark(s, hash), sys_now_ns()};
}

bool claim_has_moved(struct claim_watch *w)
{
    uint32_t mark = segment_claim_mark(w->segment, w->hash);

    if (mark == w->mark) {
        return false;
    }
    w->mark = mark;
    w->moved = sys_now_ns();
    claim_progress();
    return true;
}

bool claim_is_alive(struct claim_watch *w, int64_t silence_ns)
{
    claim_has_moved(w);
    return segment_claimed(w->segment, w->hash) && sys_now_ns() - w->moved < silence_ns;
}
