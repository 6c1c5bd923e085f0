/* One node's destination: DIR, its partial copy beside it, and the steps from one to the other.
 *
 * Order: destination_open, destination_begin, destination_state, ... unpack into partial_fd ...,
 * destination_commit, then destination_finish (all nodes are well) or destination_rollback; destination_close in any case,
 * which removes what is not committed.
 */
#ifndef BCAST_STAGE_DESTINATION_H
#define BCAST_STAGE_DESTINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "nodes/nodes.h"
#include "stage/partial.h"

/* What was staged: written into the tree as NAME_OWN "/state". */
struct destination_label {
    int n;
    struct {
        uint64_t id;
        char name[256];
    } archive[16];
};

enum destination_state {
    DESTINATION_EMPTY, /* no DIR */
    DESTINATION_SAME,  /* DIR holds the same archives, intact */
    DESTINATION_OTHER, /* DIR was staged, but holds something else or has changed: `err` says what */
    DESTINATION_ALIEN  /* DIR was not made by `stage`, or another user may have changed it */
};

struct destination {
    char dir[4096], parent[4096], base[256]; /* DIR = parent/base, normal */
    int parent_fd, partial_fd;
    int mark_fd, old_mark_fd;   /* they hold the locks: of the partial copy, of what it replaces */
    char partial[PARTIAL_NAME]; /* name in parent; empty: none */
    bool replaces, committed;
};

/* Checks DIR's name and that of every directory above it nobody else can replace anything
 * (stage/trust.h), and opens its parent. */
int destination_open(struct destination *p, const char *dir, struct error *err);
struct destination_id destination_id(const struct destination *p);

/* Makes the partial directory. Then no other job stages into DIR on this node, and what dead ones
 * left is removed. `token`: the job's, the same on all nodes. */
int destination_begin(struct destination *p, const char *name, const char *token,
                      struct error *err);

enum destination_state destination_state(struct destination *p,
                                         const struct destination_label *label, struct error *err);

/* Is there room for so many bytes and inodes? */
int destination_space(const struct destination *p, uint64_t bytes, uint64_t files,
                      struct error *err);

/* Writes the label, then puts the partial copy into DIR's place; what was there is kept until
 * destination_finish. */
int destination_commit(struct destination *p, const struct destination_label *label,
                       struct error *err);
void destination_rollback(struct destination *p);
void destination_finish(struct destination *p);
void destination_close(struct destination *p);

/* Reads a staged tree's label. False if `top` was not staged. */
bool destination_read_label(int top, struct destination_label *label);

#endif
