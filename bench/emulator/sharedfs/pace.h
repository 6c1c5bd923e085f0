/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pace.h - slows the processors down, for time dilation (--dilate K; bench/README.md).
 *
 * A thread that computes for c seconds should take K * c. While other threads wait, it has a core
 * for itself and takes c only. The rest is made up for when the thread sends its next request: the
 * client holds the request back so long. The kernel says how long a thread computed and how long it
 * waited for a processor (/proc/PID/schedstat).
 *
 * What a thread computes before its first request to this client does not count.
 *
 * A thread that waited longer than K asks for has credit, at most CREDIT_NS * K. A thread that
 * slept since its last request is not held back for longer than it would have computed beyond its
 * sleep: somebody else may have slowed it down (FASTIMPORT_DILATE).
 */
#ifndef SHAREDFS_PACE_H
#define SHAREDFS_PACE_H

#include <stdint.h>
#include <sys/types.h>

struct pace;

/* For a factor above 1. NULL without memory. */
struct pace *pace_new(double factor);

/* Waits until the thread `tid` (0: nobody), whose request came at `now` (sfs_now()), would have
 * come to it. Returns the time then. Thread-safe. */
uint64_t pace_request(struct pace *pace, pid_t tid, uint64_t now);

/* Notes that the answer to a request of the thread leaves now. */
void pace_answer(struct pace *pace, pid_t tid);

#endif
