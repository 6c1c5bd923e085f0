/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scratch.h - what every unit test needs: a private directory, files in it, what was written to
 * standard error.
 *
 * scratch_setup() and scratch_teardown() are cmocka fixtures of one test each: the directory is new
 * and empty, and gone afterwards with all that is in it. Helpers fail the test when they cannot do
 * their work. Not thread-safe.
 */
#ifndef FASTIMPORT_TESTS_UNIT_SCRATCH_H
#define FASTIMPORT_TESTS_UNIT_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

int scratch_setup(void **state);
/* The same where a policy may say OURS. */
int scratch_setup_outside_dev(void **state);
int scratch_teardown(void **state);

/* The directory (on tmpfs where there is one), and names in it. The result of scratch_path() is
 * good for 16 more calls. */
const char *scratch(void);
const char *scratch_path(const char *name);

void scratch_write(const char *name, const void *bytes, size_t size, mode_t mode);
void scratch_text(const char *name, const char *text);
/* The bytes of a file; the caller frees them. */
char *scratch_read(const char *path, size_t *size);
bool scratch_has(const char *name);
/* The number of names in a directory of the scratch directory. */
int scratch_count(const char *name);

/* From capture_begin() on, standard error goes to a file; capture_end() puts it back and returns
 * what was written, good until the next capture. */
void capture_begin(void);
const char *capture_end(void);
/* How often `needle` occurs in `text`. */
int occurrences(const char *text, const char *needle);

/* Runs body(argument) in a child and returns its exit status; 128 + signal if it was killed. */
int in_child(int (*body)(void *argument), void *argument);

/* The same with a file system of `size` bytes mounted over the scratch directory, for the child
 * alone. Skips the test where mounting is not allowed. */
struct small_tmpfs {
    size_t size;
    bool noexec;
    int (*body)(void *argument);
    void *argument;
};
int on_small_tmpfs(struct small_tmpfs small);

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

#endif
