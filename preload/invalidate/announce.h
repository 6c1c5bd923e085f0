/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * announce.h - a change becomes known on all nodes of the job before the call that made it returns.
 *
 * So whatever a rank has changed below the roots, any rank that does something after it has heard
 * of it (by MPI, a file, a socket) sees the change. The first change in a directory announces the
 * directory: the node's leader tells the root, the root all leaders (RECORD_LIVE), and when all
 * have it, the root says so (RECORD_EVERYWHERE). From then on nothing in that directory and below
 * is answered from the cache, on any node, and later changes there need no announcement.
 *
 * A node that hears nothing from the root for FASTIMPORT_WAIT_MS, not even a heartbeat, answers
 * nothing from its cache until it hears something again (changes_may_be_missed()). An announcement
 * waits twice as long. If not all nodes have confirmed it by then, those that have not got it are
 * silent, so the change stands, one line says so, and this node answers nothing any more.
 *
 * After END no node answers anything from the cache, so no change is announced.
 *
 * Thread rules: any thread of a process that uses the node cache, also in signal handlers and
 * forked children; not the service thread. errno is never touched.
 */
#ifndef FASTIMPORT_INVALIDATE_ANNOUNCE_H
#define FASTIMPORT_INVALIDATE_ANNOUNCE_H

#include "cache/node.h"

/* directory: a normal path, with a NUL after its `length` bytes. Does nothing in a job of one node,
 * and where the directory or one above it is announced already. */
void announce_directory(struct node_cache *node, const char *directory, size_t length);

/* The same for an object that may have names in other directories (hard links, symlinks): no node
 * answers for this inode any more, nor for what is below it, under whatever name. path: one of its
 * names. */
void announce_inode(struct node_cache *node, const char *path, size_t length, ino_t inode);

#endif
