/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dilation.h - time dilation, for measurements (FASTIMPORT_DILATE; bench/README.md has the method).
 *
 * All waits take longer by a factor >= 1, and the clock of sys_now_ns() runs slower by it. So what
 * the library notes and compares are times of the machine that is imitated. Every process of a node
 * has the same factor.
 *
 * The processors, too, are slower by the factor: a thread that computes for c seconds should take
 * factor * c. What it took less it sleeps when it waits next. Without that, a thread that has a
 * core for itself, because others wait, would be too fast.
 *
 * Thread rules: dilation_set() in the constructor, before any wait and before a time is noted. The
 * rest is for any thread.
 */
#ifndef FASTIMPORT_BASE_DILATION_H
#define FASTIMPORT_BASE_DILATION_H

#include <stdint.h>

void dilation_set(double factor);
/* Real time for a time of ours, and the reverse; any unit. */
int64_t dilation_real(int64_t ours);
int64_t dilation_ours(int64_t real);

/* Around a wait of the calling thread: sleeps what it has computed too fast since its last wait;
 * notes when the next computing begins. */
void dilation_before_wait(void);
void dilation_after_wait(void);

#endif
