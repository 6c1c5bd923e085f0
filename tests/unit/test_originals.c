/* SPDX-License-Identifier: BSD-3-Clause */
/* dlopen/originals: a partial copy that ld.so has mapped becomes whole; what can fail fails
 * before. */
#include "scratch.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/protected_fd.h"
#include "cache/mirror.h"
#include "dlopen/originals.h"
#include "faults.h"
#include "fill/lookup.h"

#ifndef LIBRARIES
#define LIBRARIES "." /* rules.mk says where they are; this is for the linters */
#endif

static struct node_cache node;
static char copy[MIRROR_PATH_MAX];
static const struct record *content;

/* Puts a part of the library into the cache, under a name of this test's own. */
static int originals_setup(void **state)
{
    static const struct lookup_limits limits = {1 << 30};
    const char *path;
    struct fi_query q;
    size_t size;
    char *bytes;

    if (scratch_setup(state) != 0 || node_create(&node, scratch(), 1) != 0) {
        return -1;
    }
    bytes = scratch_read(LIBRARIES "/large.so", &size);
    scratch_write("large.so", bytes, size, 0755);
    free(bytes);
    path = scratch_path("large.so");
    q = query_make(RECORD_CONTENT, RECORD_MAPPED, path, strlen(path));
    content = lookup_real(&node, &q, 0, &limits);
    return !mirror_copy_path(&node, path, extents_version_of(content), copy, sizeof copy);
}

static int originals_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static unsigned long large_sum_of(void *handle)
{
    unsigned long (*sum)(size_t) = (unsigned long (*)(size_t))dlsym(handle, "large_sum");

    assert_non_null(sum);
    return sum(1);
}

static void assert_becomes_whole(int move_error)
{
    struct originals originals = {0};
    void *whole = dlopen(LIBRARIES "/large.so", RTLD_NOW | RTLD_LOCAL);
    void *part;

    assert_non_null(whole);
    assert_true(extents_version_of(content) != 0);
    assert_null(originals_add(&originals, content, copy));
    assert_true(originals.n > 0);
    part = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(part);
    assert_true(large_sum_of(part) != large_sum_of(whole));
    if (move_error != 0) {
        fault_arm(FAULT_sys_move_pages, move_error, 0, 1000);
    }
    originals_place(&originals);
    fault_clear();
    assert_true(large_sum_of(part) == large_sum_of(whole));
    originals_release(&originals);
    assert_true(large_sum_of(part) == large_sum_of(whole));
    dlclose(part);
    dlclose(whole);
}

static void the_rest_is_mapped(void **state)
{
    (void)state;
    assert_becomes_whole(0);
}

static void where_it_cannot_be_moved_it_is_copied(void **state)
{
    (void)state;
    assert_becomes_whole(-ENOMEM);
}

static void what_can_fail_fails_before(void **state)
{
    struct originals originals = {0};

    (void)state;
    fault_arm(FAULT_sys_open, -EMFILE, 0, 1); /* the copy's */
    assert_string_equal(originals_add(&originals, content, copy),
                        "could not be read from the node cache");
    fault_arm(FAULT_sys_open, -EMFILE, 1, 1); /* the original's */
    assert_string_equal(originals_add(&originals, content, copy), "cannot be opened where it is");
    fault_arm(FAULT_sys_fstat, -EIO, 0, 1);
    assert_string_equal(originals_add(&originals, content, copy), "has changed since it was read");
    fault_arm(FAULT_sys_mmap, -ENOMEM, 0, 1);
    assert_string_equal(originals_add(&originals, content, copy), "cannot be mapped where it is");
    fault_clear();
    originals_release(&originals);
    assert_null(originals_add(&originals, content, copy));
    originals_release(&originals);
    assert_int_equal(chmod(scratch_path("large.so"), 0700), 0); /* ctime */
    assert_string_equal(originals_add(&originals, content, copy), "has changed since it was read");
    originals_release(&originals);
}

#define with_cache(f) cmocka_unit_test_setup_teardown(f, originals_setup, originals_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_cache(the_rest_is_mapped),
        with_cache(where_it_cannot_be_moved_it_is_copied),
        with_cache(what_can_fail_fails_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
