/* SPDX-License-Identifier: BSD-3-Clause */
/* relocate/rewrite.h: text and binary replacement in a stream, cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relocate/rewrite.h"

struct out {
    char bytes[1 << 20];
    size_t n;
};

static int rewrite_collect(void *context, const void *data, size_t n, struct error *err)
{
    struct out *o = context;
    (void)err;
    assert_true(o->n + n <= sizeof o->bytes);
    memcpy(o->bytes + o->n, data, n);
    o->n += n;
    return 0;
}

static const struct rewrite_map one[] = {{"/sw/env", "/tmp/e"}};
static const struct rewrite_map nested[] = {{"/sw", "/S"}, {"/sw/env", "/tmp/longer/than/before"}};

/* Feeds `in` in two pieces cut at `cut`; -1 or the result's size. */
static int rewrite_cut(struct out *o, enum rewrite_mode mode, const struct rewrite_map *maps, int n,
                       const char *in, size_t size, size_t cut, struct error *err)
{
    struct rewriter *r = rewriter_new();
    o->n = 0;
    rewriter_begin(r, mode, maps, n, rewrite_collect, o);
    int result = rewriter_feed(r, in, cut, err);
    if (result == 0) {
        result = rewriter_feed(r, in + cut, size - cut, err);
    }
    if (result == 0) {
        result = rewriter_end(r, err);
    }
    rewriter_free(r);
    return result < 0 ? -1 : (int)o->n;
}

static void rewrite_expect(enum rewrite_mode mode, const struct rewrite_map *maps, int n,
                           const char *in, size_t size, const char *want, size_t want_size)
{
    struct out *o = malloc(sizeof *o);
    for (size_t cut = 0; cut <= size; cut++) {
        struct error err = {0};
        assert_int_equal(rewrite_cut(o, mode, maps, n, in, size, cut, &err), (int)want_size);
        assert_memory_equal(o->bytes, want, want_size);
    }
    free(o);
}

#define TEXT(maps, n, in, want)                                                                    \
    rewrite_expect(REWRITE_TEXT, maps, n, in, sizeof(in) - 1, want, sizeof(want) - 1)
#define BINARY(maps, n, in, want)                                                                  \
    rewrite_expect(REWRITE_BINARY, maps, n, in, sizeof(in) - 1, want, sizeof(want) - 1)

static void rewrite_in_text(void **state)
{
    (void)state;
    TEXT(one, 1, "x=/sw/env/bin:/sw/env", "x=/tmp/e/bin:/tmp/e");
    TEXT(one, 1, "/sw/env2 /sw/env-x /sw/envelope", "/sw/env2 /sw/env-x /sw/envelope");
    TEXT(one, 1, "", "");
    TEXT(one, 1, "/sw/en", "/sw/en");
    TEXT(nested, 2, "/sw/env/a /sw/b", "/tmp/longer/than/before/a /S/b");
}

static void rewrite_in_binary(void **state)
{
    (void)state;
    BINARY(one, 1, "\0a/sw/env/lib\0z", "\0a/tmp/e/lib\0\0z");
    BINARY(one, 1, "/sw/env:/sw/env/x\0", "/tmp/e:/tmp/e/x\0\0\0");
    BINARY(one, 1, "\1\2/sw/envy\0", "\1\2/sw/envy\0");
}

static void binary_that_grows_is_an_error(void **state)
{
    struct out *o = malloc(sizeof *o);
    struct error err = {0};
    (void)state;
    assert_int_equal(rewrite_cut(o, REWRITE_BINARY, nested, 2, "/sw/env\0\0\0\0\0\0", 13, 3, &err),
                     -1);
    assert_non_null(strstr(err.reason, "longer"));
    err = (struct error){0};
    assert_int_equal(rewrite_cut(o, REWRITE_BINARY, one, 1, "/sw/env/no-end", 14, 3, &err), -1);
    free(o);
}

/* Larger than the rewriter's buffer, a match across every border of it. */
static void rewrite_of_large_files(void **state)
{
    struct out *o = malloc(sizeof *o);
    const size_t size = 700000;
    char *in = malloc(size);
    (void)state;
    for (size_t shift = 0; shift < 9; shift++) {
        struct error err = {0};
        size_t matches = 0;
        memset(in, '.', size);
        for (size_t at = shift; at + 8 < size; at += 9, matches++) {
            for (size_t k = 0; k < 8; k++) {
                in[at + k] = "/sw/env "[k];
            }
        }
        int n = rewrite_cut(o, REWRITE_TEXT, one, 1, in, size, 1000, &err);
        assert_int_equal(n, (int)(size - matches)); /* one byte shorter each */
    }
    free(in);
    free(o);
}

static void rewrite_of_shebangs(void **state)
{
    char longer[200] = "/";
    char want[400];
    memset(longer + 1, 'p', 150);
    struct rewrite_map map[] = {{"/sw/env", longer}};
    (void)state;
    TEXT(one, 1, "#!/sw/env/bin/python -u\nx\n", "#!/tmp/e/bin/python -u\nx\n");
    TEXT(map, 1, "#! /sw/env/bin/perl -w\nx\n", "#!/usr/bin/env perl -w\nx\n");
    snprintf(want, sizeof want,
             "#!/bin/sh\n'''exec' \"%s/bin/python3\" -u \"$0\" \"$@\"\n' '''\nx\n", longer);
    rewrite_expect(REWRITE_TEXT, map, 1, "#! /sw/env/bin/python3 -u\nx\n", 28, want, strlen(want));
}

static void rewrite_finds_prefixes(void **state)
{
    (void)state;
    assert_true(rewrite_contains("a/sw/env/b", 10, "/sw/env", false));
    assert_false(rewrite_contains("a/sw/envb", 9, "/sw/env", true));
    assert_false(rewrite_contains("a/sw/env", 8, "/sw/env", false)); /* what follows is not known */
    assert_true(rewrite_contains("a/sw/env", 8, "/sw/env", true));
}

static void path(void **state)
{
    (void)state;
    char *p = rewrite_path("/sw/env/lib", one, 1);
    assert_string_equal(p, "/tmp/e/lib");
    free(p);
    assert_null(rewrite_path("/sw/env2", one, 1));
    assert_null(rewrite_path("x/sw/env", one, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rewrite_in_text),
                                       cmocka_unit_test(rewrite_in_binary),
                                       cmocka_unit_test(binary_that_grows_is_an_error),
                                       cmocka_unit_test(rewrite_of_large_files),
                                       cmocka_unit_test(rewrite_of_shebangs),
                                       cmocka_unit_test(rewrite_finds_prefixes),
                                       cmocka_unit_test(path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
