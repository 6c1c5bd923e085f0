/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library_content.h - the record of a library's content, by a path as ld.so writes it.
 *
 * Thread rules: any thread.
 */
#ifndef FASTIMPORT_CACHE_LIBRARY_CONTENT_H
#define FASTIMPORT_CACHE_LIBRARY_CONTENT_H

#include "cache/segment.h"

/* The path may have ".." in it, which is removed textually. NULL: nobody has asked for the library.
 * The record may say that its content could not be kept (RECORD_UNAVAILABLE). */
const struct record *library_content(const struct segment *segment, const char *path);

#endif
