/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan: the tree of one sequence, as a pure function of (seed, sequence).
 *
 * Builder and runner compute the same plan, so the runner knows every path without asking the file
 * system. The tree lies in "TREE/<sequence>/g/in"; TREE/<sequence>/g is the sequence's own ground,
 * which its writes never leave (see guard.h).
 */
#ifndef TESTS_DIFFERENTIAL_PLAN_H
#define TESTS_DIFFERENTIAL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define PLAN_FEW     24   /* entries of a tree, but for the names of a crowd */
#define PLAN_CROWD   1000 /* most names of a crowd: a directory that one getdents() cannot tell */
#define PLAN_ENTRIES (PLAN_FEW + PLAN_CROWD + 2)
#define PLAN_PATH    1400 /* no path of a plan is longer, "TREE/<sequence>/in/" not counted */

/* Random numbers: splitmix64, state of one word. */
struct rng {
    uint64_t state;
};

uint64_t rng_next(struct rng *r);
unsigned rng_below(struct rng *r, unsigned n); /* 0 .. n-1 */
int rng_percent(struct rng *r, unsigned p);    /* true in p of 100 */
struct rng rng_make(uint64_t seed, uint64_t a, uint64_t b);

enum plan_kind { PLAN_DIR, PLAN_FILE, PLAN_SYMLINK, PLAN_HARDLINK, PLAN_SOCKET, PLAN_LIBRARY };

struct plan_entry {
    enum plan_kind kind;
    char path[PLAN_PATH];   /* relative to the tree */
    char target[PLAN_PATH]; /* symbolic link: its text; hard link: the other path */
    unsigned mode, size;
    int64_t mtime, mtime_ns;
};

struct plan {
    uint64_t seed;
    unsigned sequence;
    char own[500];    /* TREE/<sequence>: changes of the ground itself stay below it */
    char ground[512]; /* TREE/<sequence>/g */
    char root[520];   /* TREE/<sequence>/in */
    size_t n;
    struct plan_entry entries[PLAN_ENTRIES];
};

/* One of a small stock of names, so that random names often exist. */
const char *plan_name(struct rng *r);

/* A text for a symbolic link in the tree of `p`. Never names anything outside of the ground. */
void plan_target(const struct plan *p, struct rng *r, char *buf, size_t size);

void plan_make(struct plan *p, uint64_t seed, unsigned sequence, const char *tree);

/* Makes the tree of the plan; `library` is copied for PLAN_LIBRARY. Returns 0, or -1 with errno and
 * the path in *failed. */
int plan_build(const struct plan *p, const char *library, const char **failed);

#endif
