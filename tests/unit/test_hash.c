/* SPDX-License-Identifier: BSD-3-Clause */
/* hash: the test vectors of wyhash, and that each byte and the seed count at any length. */
#include "scratch.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"

/* Of wyhash's test_vector.cpp; the seed of each is its place. */
static void is_wyhash(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } vectors[] = {
        {"", 0x93228a4de0eec5a2},
        {"a", 0xc5bac3db178713c4},
        {"abc", 0xa97f2f7b1d9b3314},
        {"message digest", 0x786d1f1df3801df4},
        {"abcdefghijklmnopqrstuvwxyz", 0xdca5a8138ad37c87},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 0xb9e734f117cfaf70},
        {"123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "90",
         0x6cc5eab49a92d617},
    };

    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        assert_int_equal(fi_hash(vectors[i].text, strlen(vectors[i].text), i), vectors[i].hash);
    }
}

static void every_byte_counts(void **state)
{
    unsigned char bytes[200];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 37);
    }
    for (size_t size = 1; size < sizeof bytes; size++) {
        uint64_t before = fi_hash(bytes, size, 1);

        assert_int_not_equal(before, fi_hash(bytes, size, 2));
        assert_int_not_equal(before, fi_hash(bytes, size - 1, 1));
        for (size_t i = 0; i < size; i++) {
            bytes[i] ^= 0x10;
            assert_int_not_equal(before, fi_hash(bytes, size, 1));
            bytes[i] ^= 0x10;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_wyhash),
        cmocka_unit_test(every_byte_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
