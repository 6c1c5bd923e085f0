/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * directory.h - a directory stream (DIR *) over a cached listing.
 *
 * The program gets the address of a struct directory as its DIR *. directory_of() tells such a
 * stream from one of libc by its first word: in libc's streams that is a descriptor and a lock,
 * which never have the value of our magic.
 *
 * Ownership: directory_open() allocates, directory_close() frees; the record must stay mapped.
 * Thread rules: as for libc's streams, one stream is used by one thread at a time.
 */
#ifndef FASTIMPORT_ANSWER_DIRECTORY_H
#define FASTIMPORT_ANSWER_DIRECTORY_H

#include <dirent.h>
#include <stdint.h>

#include "cache/record.h"

struct directory {
    uint64_t magic;
    const struct record *list;
    const struct record_list_entry *at; /* the entry that was read last; NULL at the start */
    long position;
    bool ended;
    _Atomic int fd; /* descriptor of the real directory; -1 until it is needed */
    int slot;       /* index in the table of open streams; -1: the table was full */
    DIR *real;      /* libc's stream that replaces this one (intercept/dir.c); else NULL */
    struct dirent entry;
};

/* Opens a stream. Returns NULL if memory is short. */
struct directory *directory_open(const struct record *list);
/* The stream behind a DIR *, or NULL if it is one of libc. */
struct directory *directory_of(DIR *dir);
/* readdir(3): the next entry, valid until the next call; NULL at the end. */
struct dirent *directory_read(struct directory *directory);
/* seekdir(3): the next directory_read() returns the entry at `position`, counted from 0. */
void directory_seek(struct directory *directory, long position);
/* Opens the real directory, if that has not been done, and returns its descriptor or -errno. The
 * descriptor belongs to the stream. */
int directory_fd(struct directory *directory);
/* Opens the real directories of all streams. Called before a directory is moved or removed, while
 * they can still be found by name. Any thread. */
void directory_open_originals(void);
/* Closes the stream and frees it; one that another thread was using at a fork is leaked. */
void directory_close(struct directory *directory);

#endif
