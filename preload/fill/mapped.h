/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapped.h - how much of a shared library does ld.so map?
 *
 * Up to the end of the last PT_LOAD (ELF gABI, "Program Header"), rounded up to whole pages of any
 * size, since what stands behind a segment in its last page is seen, too. Symbol tables and debug
 * sections mostly stand behind that.
 */
#ifndef FASTIMPORT_FILL_MAPPED_H
#define FASTIMPORT_FILL_MAPPED_H

#include <stdint.h>

/* Of an open file of `size` bytes; all of it, if it is no ELF file of this class or its headers
 * make no sense. */
uint64_t mapped_size(int fd, uint64_t size);

#endif
