/* SPDX-License-Identifier: BSD-3-Clause */
/* archive/frame.h, encoder.h, decoder.h, seal.h: what goes in comes out, and nothing damaged does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/decoder.h"
#include "archive/encoder.h"
#include "archive/seal.h"

#define SIZE ((size_t)5 << 19) /* two and a half frames */

struct memory {
    uint8_t *bytes;
    size_t n, at;
};

static ssize_t archive_pull(void *context, void *buffer, size_t n, struct error *err)
{
    struct memory *m = context;
    (void)err;
    if (n > m->n - m->at) {
        n = m->n - m->at;
    }
    memcpy(buffer, m->bytes + m->at, n);
    m->at += n;
    return (ssize_t)n;
}

static uint8_t *sample(void)
{
    uint8_t *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i < SIZE / 2 ? i * i >> 7 : i / 100);
    }
    return bytes;
}

static struct memory archive_encode(enum framing framing, int threads, const uint8_t *bytes,
                                    size_t n)
{
    char name[] = "/tmp/pmb-test-archive.XXXXXX";
    struct error err = {0};
    int fd = mkstemp(name);
    unlink(name);
    struct encoder *e = encoder_open(framing, -1, threads, fd);
    for (size_t at = 0; at < n; at += 70001) {
        assert_int_equal(encoder_write(e, bytes + at, n - at < 70001 ? n - at : 70001, &err), 0);
    }
    assert_int_equal(encoder_finish(e, &err), 0);
    encoder_close(e);
    struct memory m = {.n = (size_t)lseek(fd, 0, SEEK_END)};
    m.bytes = malloc(m.n);
    assert_int_equal(pread(fd, m.bytes, m.n, 0), (ssize_t)m.n);
    close(fd);
    return m;
}

/* The number of bytes that came out right before the end (true) or an error (false). */
static bool archive_decode(enum framing framing, int threads, struct memory m, const uint8_t *want,
                           size_t *good)
{
    struct error err = {0};
    const uint8_t *block;
    ssize_t n;
    struct decoder *d = decoder_open(framing, threads, archive_pull, &m);
    *good = 0;
    while ((n = decoder_next(d, &block, &err)) > 0) {
        assert_memory_equal(block, want + *good, (size_t)n);
        *good += (size_t)n;
    }
    decoder_close(d);
    assert_int_equal(n < 0, err.set);
    return n == 0;
}

static void archive_round_trip(void **state)
{
    uint8_t *bytes = sample();
    size_t good;
    (void)state;
    for (enum framing err = FRAMING_GZ; err <= FRAMING_ZST; err++) {
        for (int threads = 0; threads < 4; threads++) {
            for (size_t n = 0; n <= SIZE; n += SIZE / 2) {
                struct memory m = archive_encode(err, threads, bytes, n);
                assert_int_equal(frame_recognise(m.bytes, m.n), err);
                assert_true(archive_decode(err, threads, m, bytes, &good));
                assert_int_equal(good, n);
                free(m.bytes);
            }
        }
    }
    free(bytes);
}

static void archive_damage(void **state)
{
    uint8_t *bytes = sample();
    size_t good;
    (void)state;
    for (enum framing err = FRAMING_GZ; err <= FRAMING_ZST; err++) {
        struct memory m = archive_encode(err, 2, bytes, 100000);
        for (size_t at = 0; at < m.n; at += at < 64 || at + 64 > m.n ? 1 : 997) {
            m.bytes[at] ^= (uint8_t)(1 << at % 8);
            assert_false(archive_decode(err, 1, m, bytes, &good));
            m.bytes[at] ^= (uint8_t)(1 << at % 8);
        }
        for (size_t n = 0; n < m.n; n += n < 64 || n + 64 > m.n ? 1 : 997) {
            assert_false(archive_decode(err, 1, (struct memory){m.bytes, n, 0}, bytes, &good));
        }
        free(m.bytes);
    }
    free(bytes);
}

static void archive_seal(void **state)
{
    char block[SEAL_SIZE];
    uint64_t sum, size;
    (void)state;
    seal_write(block, 0x0123456789abcdef, 77);
    assert_true(seal_parse(block, &sum, &size));
    assert_int_equal(sum, 0x0123456789abcdef);
    assert_int_equal(size, 77);
    for (size_t i = 0; i < SEAL_SIZE; i++) {
        block[i] ^= 0x10;
        bool same = seal_parse(block, &sum, &size) && sum == 0x0123456789abcdef && size == 77;
        assert_false(same);
        block[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(archive_round_trip),
                                       cmocka_unit_test(archive_damage),
                                       cmocka_unit_test(archive_seal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
