/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapped.h - how much of a shared library does ld.so map?
 *
 * It maps up to the end of the last PT_LOAD (ELF gABI, "Program Header"). That is rounded up to 64
 * kB, the largest page size, because what follows a segment in its last page is visible, too.
 * Symbol tables and debug sections are mostly behind that. Thread rules: any thread.
 */
#ifndef FASTIMPORT_FILL_MAPPED_H
#define FASTIMPORT_FILL_MAPPED_H

#include <stdint.h>

/* The number of bytes, from the start, of an open file of `size` bytes that ld.so maps. All of them
 * if it is not a 64-bit ELF file or its headers are malformed. */
uint64_t mapped_size(int fd, uint64_t size);

#endif
