/* SPDX-License-Identifier: BSD-3-Clause */
/* service/wire: requests that are packed and taken apart, sound ones and others. */
#include "scratch.h"

#include <stdlib.h>
#include <string.h>

#include "broadcast/wire.h"

static void requests_make_the_round_trip(void **state)
{
    char buffer[256] __attribute__((aligned(8)));
    struct fi_query q = query_make(RECORD_STAT, 5, "/a/b", 4);
    struct fi_query p = query_make(RECORD_LIST, 1ULL << 40, "/", 1);
    struct fi_query got;
    size_t size = 0;
    size_t at = 0;
    int n = 0;

    (void)state;
    while (wire_put(buffer, sizeof buffer, &size, n % 2 ? &p : &q)) {
        n++;
    }
    assert_in_range(n, 8, 16);
    assert_true(size <= sizeof buffer);
    for (int i = 0; i < n; i++) {
        const struct fi_query *sent = i % 2 ? &p : &q;

        assert_true(wire_get(buffer, size, &at, &got));
        assert_string_equal(got.path, sent->path);
        assert_int_equal(got.kind, sent->kind);
        assert_true(got.argument == sent->argument && got.hash == sent->hash &&
                    got.length == sent->length);
    }
    assert_false(wire_get(buffer, size, &at, &got));
    assert_int_equal(at, size);
}

static void malformed_requests_are_dropped(void **state)
{
    struct fi_query q = query_make(RECORD_STAT, 5, "/a/b", 4);
    struct fi_query got;

    (void)state;
    for (size_t i = 0; i < 24; i++) {
        for (int value = 0; value < 256; value++) {
            char *buffer = malloc(24); /* its exact size: the sanitizers watch */
            size_t size = 0;
            size_t at = 0;

            assert_true(wire_put(buffer, 24, &size, &q));
            assert_int_equal(size, 24);
            buffer[i] = (char)value;
            if (wire_get(buffer, size, &at, &got)) {
                assert_true(got.length < 24 && got.path[got.length] == '\0');
                assert_in_range(got.kind, 1, RECORD_KINDS - 1);
            }
            at = 0;
            assert_false(wire_get(buffer, i, &at, &got)); /* cut */
            free(buffer);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_make_the_round_trip),
        cmocka_unit_test(malformed_requests_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
