/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * family: what the programs of tests/conformance/interpose have in common.
 *
 * Each program is `PROGRAM TREE CORPUS OUT`. It reads the corpus (paths relative to TREE, each
 * ended by a NUL), goes to TREE, and makes the calls of its family on every path twice: the first
 * touch fills the cache, the second must hit it. The transcript goes to OUT.<rank>.
 *
 * The executable exports Py_Initialize, by which fastimport takes the process for a Python.
 */
#ifndef TESTS_INTERPOSE_FAMILY_H
#define TESTS_INTERPOSE_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

struct family {
    const char *tree;   /* absolute, no slash at the end */
    const char **paths; /* the corpus, relative to tree */
    size_t n_paths;
    int rank;  /* from PMI_RANK; 0 outside MPI */
    int touch; /* 1, then 2 */
    int dirfd; /* of tree, open for reading by a raw system call */
};

/* Given by each program: the calls of the family. The working directory is the tree. */
void family_run(const struct family *f);

/* Whether opening this path could block for ever (a FIFO). */
bool family_blocks(const char *path);

/* "TREE/path" in one of 4 static buffers. */
const char *family_abs(const struct family *f, const char *path);

/* Reads `fd` to its end and prints length and hash; prints the errno if it cannot be read. */
void family_read_all(int fd);

/* The symbol that the running program would get, for names that glibc no longer declares. Aborts
 * with a message if libc lacks it. */
void *family_symbol(const char *name);

#endif
