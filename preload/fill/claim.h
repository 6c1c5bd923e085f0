/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * claim.h - single flight: the claim to look something up lives as long as its holder makes
 * progress.
 *
 * A claim (segment_claim()) keeps other processes of the node from doing the same work. Its holder
 * may be killed, so nobody waits for it without bound. But a large file on a slow file system takes
 * long: who waits looks at a mark that the holder changes with each piece that it has read.
 *
 * A look-up may need others (a library needs its files), so a thread may hold several claims. A
 * step of the innermost one is progress of all of them, and so is what a thread sees of another
 * thread's claim while it waits for that. Claims are taken in the order library, file by name, file
 * by inode: so no two threads wait for each other and keep each other's marks moving.
 *
 * Calling order: claim_take() or claim_adopt(), then claim_drop() in the reverse order, in one
 * thread. Thread rules: any thread; a struct claim belongs to one. Times are nanoseconds.
 */
#ifndef FASTIMPORT_FILL_CLAIM_H
#define FASTIMPORT_FILL_CLAIM_H

#include "cache/segment.h"

struct claim {
    struct claim *outer; /* the claim that this thread took before */
    struct segment *segment;
    uint64_t hash;
};

/* True: the caller is now the one to look this up. */
bool claim_take(struct claim *claim, struct segment *segment, uint64_t hash);
/* Goes on with a claim that another thread has taken (segment_claim()) and passed on. */
void claim_adopt(struct claim *claim, struct segment *segment, uint64_t hash);
void claim_drop(struct claim *claim);

/* The calling thread has read another piece of what it looks up. */
void claim_progress(void);

/* How one waits for another's claim. */
struct claim_watch {
    struct segment *segment;
    uint64_t hash;
    uint32_t mark;
    int64_t moved; /* when the mark was last seen to change */
};

struct claim_watch claim_watch(struct segment *segment, uint64_t hash);
/* Has the mark changed since the last look? On other nodes than the root's nobody holds the claim, but
 * the mark tells of the root's look-up (broadcast/progress.h). */
bool claim_has_moved(struct claim_watch *watch);
/* Is the claim held, and has its holder made progress within the last `silence_ns`? */
bool claim_is_alive(struct claim_watch *watch, int64_t silence_ns);

#endif
