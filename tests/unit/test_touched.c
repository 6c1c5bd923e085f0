/* SPDX-License-Identifier: BSD-3-Clause */
/* ldso/touched: what a process has read of a library that it has loaded. */
#include "scratch.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "faults.h"
#include "ldso/touched.h"

#ifndef LIBRARIES
#define LIBRARIES "." /* rules.mk says where they are; this is for the linters */
#endif

static const char name[] = LIBRARIES "/large.so";
static uint64_t pages; /* in windows */

static void touched_count(void *context, const char *object, const struct touched_part *parts,
                          size_t n)
{
    (void)context;
    if (strcmp(object, name) != 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        assert_true(parts[i].from < parts[i].to && parts[i].from % TOUCHED_WINDOW == 0 &&
                    parts[i].to % TOUCHED_WINDOW == 0);
        pages += (parts[i].to - parts[i].from) / TOUCHED_WINDOW;
    }
}

static uint64_t count(void)
{
    pages = 0;
    assert_true(touched_all(touched_count, NULL));
    return pages;
}

/* Its constructor reads all of it; what is given back has not been touched. */
static void sees_what_is_in_use(void **state)
{
    void *handle;
    unsigned long (*sum)(size_t);
    uint64_t all;

    (void)state;
    assert_int_equal(count(), 0);
    handle = dlopen(name, RTLD_NOW);
    assert_non_null(handle);
    all = count();
    assert_true(all >= 30 * (1 << 20) / TOUCHED_WINDOW); /* of 48 MB that it reads */
    sum = (unsigned long (*)(size_t))dlsym(handle, "large_sum");
    assert_true(sum(1) != 0 && count() >= all);
    dlclose(handle);
    assert_int_equal(count(), 0);
}

static void needs_the_kernels_answer(void **state)
{
    (void)state;
    assert_true(touched_all(touched_count, NULL));
    fault_arm(FAULT_sys_open, -EACCES, 0, 1);
    assert_false(touched_all(touched_count, NULL));
    fault_arm(FAULT_sys_pread_all, -EIO, 0, 1);
    assert_false(touched_all(touched_count, NULL));
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_what_is_in_use),
        cmocka_unit_test(needs_the_kernels_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
