/*
 * resolve.h - the flow of one call: policy, node cache, fill.
 *
 * A wrapper asks resolve() with what it needs to know of a path. Either there is an answer (an error number, or a
 * record to make the result from), or the wrapper makes the real call.
 *
 * Thread rules: any thread, also in signal handlers and forked children. errno is never touched.
 */
#ifndef FASTIMPORT_RESOLVE_H
#define FASTIMPORT_RESOLVE_H

#include "base/guard.h"
#include "base/path.h"
#include "cache/node.h"
#include "fill/fill.h"
#include "policy.h"

/* What the flow works on; set once, before resolve_active is. fill is NULL in attached processes. */
struct resolver {
    struct node_cache *node;
    struct fill *fill;
    const struct policy *policy;
    uid_t uid; /* effective, at the start: whom permissions are checked for */
    gid_t gid;
};

extern struct resolver resolver;
extern bool resolve_active;

void resolve_start(struct node_cache *node, struct fill *fill, const struct policy *policy);
/* In the child of a fork: it reads the cache, and fills nothing. */
void resolve_detach_fill(void);

struct answer {
    const struct record *record; /* NULL with an error that follows from other records */
    int error;                   /* 0: success, see the record */
};

/* The quick question of every wrapper: does it make sense to call resolve() for this path? */
static inline bool resolve_wanted(const char *path)
{
    return __builtin_expect(resolve_active, 0) && !fi_inside() && (size_t)path >= 4096 &&
           (path[0] != '/' || policy_maybe(resolver.policy, path));
}

/* path: as the program gave it, relative to the working directory. True: *answer is the answer. */
bool resolve(enum call_family family, enum record_kind kind, uint64_t argument, const char *path, struct answer *answer);

/* The program has changed `path` (relative to dirfd): it bypasses the cache of this node from now on, with the
 * listing of its directory; with `tree`, all below it as well. Call after the change has succeeded. */
void resolve_written(int dirfd, const char *path, bool tree);
void resolve_written_fd(int fd);

/* The program is about to take this name away (unlink, or rename over it), and then has: what it named has a link less. */
struct resolve_name {
    bool known;
    uint64_t inode[2]; /* (st_dev, st_ino) */
};
struct resolve_name resolve_before_unlink(int dirfd, const char *path);
void resolve_unlinked(const struct resolve_name *name);

/* fstat of a served descriptor, answered as the original would be. fd: the descriptor. */
void resolve_fstat(int fd, struct stat *st);

/* The answer could not be turned into a result after all. */
void resolve_fell_back(enum fallback_reason reason);

#endif
