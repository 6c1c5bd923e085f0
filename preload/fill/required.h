/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * required.h - what ld.so reads of a library before the original can be mapped over its copy.
 *
 * These are the headers, the notes, the dynamic section, and the tables of symbols, versions and
 * strings that the dynamic section names. ld.so also writes: addresses into the dynamic section, and
 * zeros behind the bytes of a segment that is longer in memory. The root's own search for libraries reads nothing else
 * either. (_dl_map_object_from_fd(), _dl_setup_hash() and _dl_check_map_versions() in glibc's elf/.)
 *
 * Internal to fill/mapped.c. Thread rules: any thread.
 */
#ifndef FASTIMPORT_FILL_REQUIRED_H
#define FASTIMPORT_FILL_REQUIRED_H

#include "fill/elf_file.h"
#include "fill/parts.h"

/* Adds these parts; elf_file_sections() has been called. Returns false if one of the tables is not a
 * section, so that its size is not known. */
bool required_parts(const struct elf_file *file, struct parts *parts);

#endif
