/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/conformance/differential/sequence.h"
#include "tests/conformance/interpose/transcript.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct call *const tables[] = {calls_look, calls_open, calls_dir, calls_write};

static size_t tables_used(const struct sequence *s)
{
    return s->kinds & SEQ_NO_WRITES ? 3 : 4;
}

static unsigned total_weight(const struct sequence *s)
{
    unsigned total = 0;
    for (size_t t = 0; t < tables_used(s); t++) {
        for (const struct call *c = tables[t]; c->name; c++) {
            total += c->weight;
        }
    }
    return total;
}

static const struct call *pick_call(const struct sequence *s, struct rng *r)
{
    unsigned x = rng_below(r, total_weight(s));
    for (size_t t = 0; t < tables_used(s); t++) {
        for (const struct call *c = tables[t]; c->name; c++) {
            if (x < c->weight) {
                return c;
            }
            x -= c->weight;
        }
    }
    return &tables[0][0];
}

/* Fills most slots, or most calls on slots would be calls on -1. */
static void fill_slots(struct sequence *s)
{
    struct rng r = rng_make(s->plan.seed, s->plan.sequence, UINT64_MAX - 1);
    for (int i = 0; i < SLOTS - 1; i++) {
        const char *path = s->plan.root;
        if (i > 0 && s->plan.n) {
            path = s->plan.entries[rng_below(&r, (unsigned)s->plan.n)].path;
        }
        s->fds[i] = TRY(open(path, O_RDONLY | O_NONBLOCK));
        tr_fd(s->fds[i], "slot %d: open(%s)", i, tr_q(path));
        if (s->fds[i] >= 0) {
            shadow_open(s, i, CWD_SLOT, path, false);
        }
        s->dirs[i] = i % 2 ? NULL : TRY(opendir(path));
        if (!(i % 2)) {
            tr_ptr(s->dirs[i], "stream %d: opendir(%s)", i, tr_q(path));
        }
    }
}

void sequence_start(struct sequence *s, uint64_t seed, unsigned number, const char *tree,
                    unsigned kinds)
{
    memset(s, 0, sizeof *s);
    s->kinds = kinds;
    plan_make(&s->plan, seed, number, tree);
    for (int i = 0; i < SLOTS; i++) {
        s->fds[i] = -1;
    }
    shadow_start(s);
    tr_forget();
    tr_base(s->plan.ground, TR_MAPPED);
    tr_line("== sequence %u", number);
    umask(022);
    tr_ret(TRY(chdir(s->plan.root)), "chdir");
    fill_slots(s);
}

void sequence_call(struct sequence *s, unsigned index)
{
    struct rng r = rng_make(s->plan.seed, s->plan.sequence, index);
    const struct call *c = pick_call(s, &r);
    tr_line("[%u] %s", index, c->name);
    c->run(s, &r);
    sequence_look_again(s);
}

static void empty_slots(struct sequence *s)
{
    for (int i = 0; i < SLOTS; i++) {
        if (s->fds[i] >= 0) {
            close(s->fds[i]);
        }
        if (s->dirs[i]) {
            closedir(s->dirs[i]);
        }
        s->fds[i] = -1;
        s->dirs[i] = NULL;
        shadow_close(s, i);
    }
}

void sequence_refresh(struct sequence *s)
{
    empty_slots(s);
    fill_slots(s);
}

void sequence_end(struct sequence *s)
{
    empty_slots(s);
    for (int i = 0; i < SLOTS; i++) {
        if (s->handles[i]) {
            dlclose(s->handles[i]);
        }
    }
    shadow_end(s);
}
