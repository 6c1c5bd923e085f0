/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay: processes that make the calls of a sequence in turns, so that each sees what the others
 * have changed before.
 *
 * The turns are numbers that grow, in a file that all processes map: whoever has a turn knows that
 * all turns before it are over, as after a barrier of MPI.
 *
 * Calling order: relay_open in each process, with a file of four zero bytes; then relay_await and
 * relay_pass for each turn of one's own, in growing order.
 */
#ifndef TESTS_DIFFERENTIAL_RELAY_H
#define TESTS_DIFFERENTIAL_RELAY_H

#include <stdint.h>

/* Returns 0, or -1 with errno. */
int relay_open(const char *file);

/* Waits for the turn; tells the others that it is over. */
void relay_await(uint32_t turn);
void relay_pass(uint32_t turn);

#endif
