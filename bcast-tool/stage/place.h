/* One node's destination: DIR, its partial copy beside it, and the steps from one to the other.
 *
 * Order: place_open, place_begin, place_state, ... unpack into partial_fd ...,
 * place_commit, then place_finish (all nodes are well) or place_rollback; place_close in any case,
 * which removes what is not committed.
 */
#ifndef BCAST_STAGE_PLACE_H
#define BCAST_STAGE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "nodes/nodes.h"
#include "stage/partial.h"

/* What was staged: written into the tree as NAME_OWN "/state". */
struct place_label {
    int n;
    struct {
        uint64_t id;
        char name[256];
    } archive[16];
};

enum place_state {
    PLACE_EMPTY, /* no DIR */
    PLACE_SAME,  /* DIR holds the same archives, intact */
    PLACE_OTHER, /* DIR was staged, but holds something else or has changed: `f` says what */
    PLACE_ALIEN  /* DIR was not made by `stage`, or another user may have changed it */
};

struct place {
    char dir[4096], parent[4096], base[256]; /* DIR = parent/base, normal */
    int parent_fd, partial_fd;
    int mark_fd, old_mark_fd;   /* they hold the locks: of the partial copy, of what it replaces */
    char partial[PARTIAL_NAME]; /* name in parent; empty: none */
    bool replaces, committed;
};

/* Checks DIR's name and that of every directory above it nobody else can replace anything
 * (stage/trust.h), and opens its parent. */
int place_open(struct place *p, const char *dir, struct fault *f);
struct place_id place_id(const struct place *p);

/* Makes the partial directory. Then no other job stages into DIR on this node, and what dead ones
 * left is removed. `token`: the job's, the same on all nodes. */
int place_begin(struct place *p, const char *name, const char *token, struct fault *f);

enum place_state place_state(struct place *p, const struct place_label *label, struct fault *f);

/* Is there room for so many bytes and inodes? */
int place_space(const struct place *p, uint64_t bytes, uint64_t files, struct fault *f);

/* Writes the label, then puts the partial copy into DIR's place; what was there is kept until
 * place_finish. */
int place_commit(struct place *p, const struct place_label *label, struct fault *f);
void place_rollback(struct place *p);
void place_finish(struct place *p);
void place_close(struct place *p);

/* Reads a staged tree's label. False if `top` was not staged. */
bool place_read_label(int top, struct place_label *label);

#endif
