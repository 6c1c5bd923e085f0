/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * give_back.h - contents that no process has open or mapped leave the node's memory.
 *
 * After a start most of the mirror is of no more use: sources and byte code were read, the
 * libraries of children that have ended are mapped by nobody. The kernel knows: it grants a write
 * lease (F_SETLEASE, fcntl(2)) only on a file that nobody else has open, and a mapping counts as
 * open. Where it grants none (Linux before 5.3, fs.leases-enable=0), nothing is given back.
 *
 * First a record hides the content, then the file is unlinked, while the lease is held. A process
 * that opens the file meanwhile waits until the lease ends, and gets the file whole: what it has
 * open stays. One that comes later finds no file and makes the real call. One that looks in the
 * index finds nothing, as if the content had never been there, and gets it by a miss.
 *
 * The root decides for all nodes, so that no node lacks what the root has (it would not be sent
 * again). A node where a process uses the file keeps it. The root gives a content back only once:
 * what is asked for again stays. So does what the plan has brought and nobody has used yet. A node
 * that is short of memory also drops contents by itself, for good: its processes then read the
 * original.
 *
 * The caller has marked the files of used libraries as used (closure_mark_used_files()).
 *
 * Thread rules: the service thread. It blocks all signals: a process that waits for a lease to end
 * makes the kernel send one.
 */
#ifndef FASTIMPORT_CACHE_GIVE_BACK_H
#define FASTIMPORT_CACHE_GIVE_BACK_H

#include "cache/node.h"

enum give_back_how {
    GIVE_BACK_EVERYWHERE, /* the root: other nodes do the same when they get the records */
    GIVE_BACK_HERE        /* this node alone, for good */
};

/* A walk through the index. */
struct give_back {
    struct node_cache *node;
    enum give_back_how how;
    uint64_t position;
    uint64_t end;
    bool libraries; /* the files are done; now those libraries that lack a file are hidden */
};

void give_back_begin(struct give_back *walk, struct node_cache *node, enum give_back_how how);
/* Looks at so many contents at most. False: the walk is at its end. */
bool give_back_some(struct give_back *walk, int contents);

/* Of a node other than the root's: a record with RECORD_GIVEN_BACK has come. Does what it says,
 * unless the file is in use here. */
void give_back_received(struct node_cache *node, const struct record *record);

#endif
