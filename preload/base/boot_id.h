/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot_id.h - which machine is this? The kernel draws a random text at each boot (random(4)), so
 * that two machines never have the same, whatever their host names are.
 *
 * python-mpi-bcast uses it, too.
 */
#ifndef FASTIMPORT_BASE_BOOT_ID_H
#define FASTIMPORT_BASE_BOOT_ID_H

#include <stddef.h>

enum { BOOT_ID_SIZE = 64 };

/* Reads the text and a NUL into `text`, which has room for BOOT_ID_SIZE bytes. Returns its length;
 * 0: not known, and text is "". */
size_t boot_id_read(char *text);

#endif
