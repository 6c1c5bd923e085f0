/* SPDX-License-Identifier: BSD-3-Clause */
/* cache/record: what is damaged is refused; what is sealed again after damage, by somebody who
 * means it, is harmless. */
#include "scratch.h"

#include <stdlib.h>
#include <string.h>

#include "samples.h"

static const char path[] = "/root/pkg/module";

static bool valid(const struct record *r, size_t room)
{
    return record_valid(r, room);
}

static void samples_are_valid(void **state)
{
    (void)state;
    for (int kind = 1; kind < RECORD_KINDS; kind++) {
        struct record *r = sample_record((enum record_kind)kind, path);

        assert_true(valid(r, r->size));
        assert_true(valid(r, r->size + 8));
        assert_false(valid(r, r->size - 1));
        assert_false(valid(r, sizeof *r - 1));
        assert_true(r->hash == record_hash((enum record_kind)kind, 0, path, strlen(path)));
        assert_true(sample_use(r) > 0);
        free(r);
    }
}

/* Every bit of every byte behind `next`, which is the segment's, but for the one that may change.
 */
static void any_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (int kind = 1; kind < RECORD_KINDS; kind++) {
        struct record *r = sample_record((enum record_kind)kind, path);
        size_t size = r->size;
        char *bytes = (char *)r;

        for (size_t i = 4; i < size; i++) {
            for (int bit = 0; bit < 8; bit++) {
                if (i == offsetof(struct record, flags) && 1 << bit == RECORD_USED) {
                    continue;
                }
                bytes[i] = (char)(bytes[i] ^ (1 << bit));
                if (valid(r, size)) {
                    fail_msg("kind %d: byte %zu bit %d flipped is not noticed", kind, i, bit);
                }
                bytes[i] = (char)(bytes[i] ^ (1 << bit));
            }
        }
        free(r);
    }
}

/* Seals what the lengths allow to be sealed without leaving the memory. */
static bool seal_again(struct record *r, size_t size)
{
    if (record_size_for(r->path_length, r->payload_size) > size) {
        return false;
    }
    record_seal(r);
    return true;
}

static void meant_damage_is_harmless(void **state)
{
    static const unsigned char values[] = {0, 1, 2, 7, 8, 16, 31, 64, 127, 128, 200, 254, 255};
    int accepted = 0;

    (void)state;
    for (int kind = 1; kind < RECORD_KINDS; kind++) {
        struct record *r = sample_record((enum record_kind)kind, path);
        size_t size = r->size;
        unsigned char *bytes = (unsigned char *)r;

        for (size_t i = 4; i < size; i++) {
            unsigned char before = bytes[i];

            for (size_t v = 0; v < sizeof values; v++) {
                bytes[i] = values[v];
                if (seal_again(r, size) && valid(r, size)) {
                    accepted++;
                    sample_use(r); /* the sanitizers watch */
                }
            }
            bytes[i] = before;
        }
        free(r);
    }
    assert_true(accepted > 1000);
}

/* Sets one field of a sample, seals it, and expects a refusal. */
#define REFUSED(kind, type, statement)                                                             \
    do {                                                                                           \
        struct record *r = sample_record(kind, path);                                              \
        type *p = (type *)record_payload(r);                                                       \
                                                                                                   \
        statement;                                                                                 \
        record_seal(r);                                                                            \
        assert_false(valid(r, r->size));                                                           \
        (void)p;                                                                                   \
        free(r);                                                                                   \
    } while (0)

static void impossible_contents_are_refused(void **state)
{
    (void)state;
    REFUSED(RECORD_STAT, struct record_stat, p->target_length = 7);
    REFUSED(RECORD_STAT, struct record_stat, p->target_length = UINT32_MAX);
    REFUSED(RECORD_LIST, struct record_list, p->n_slots = 0);
    REFUSED(RECORD_LIST, struct record_list, p->n_slots = 7);
    REFUSED(RECORD_LIST, struct record_list, p->n_slots = 1U << 31);
    REFUSED(RECORD_LIST, struct record_list, p->n_entries = 5);
    REFUSED(RECORD_LIST, struct record_list, p->n_entries = 3);
    REFUSED(RECORD_LIST, struct record_list, p->n_entries = UINT32_MAX);
    REFUSED(RECORD_LIST, struct record_list, p->slots[0] = 1);
    REFUSED(RECORD_LIST, struct record_list, p->slots[0] = r->payload_size - 8);
    REFUSED(RECORD_LIST, struct record_list, p->slots[0] = UINT32_MAX - 7);
    REFUSED(RECORD_CONTENT, struct record_content, p->n_extents = 1);
    REFUSED(RECORD_CONTENT, struct record_content, p->n_extents = 3);
    REFUSED(RECORD_CONTENT, struct record_content, p->n_extents = UINT32_MAX);
    REFUSED(RECORD_CONTENT, struct record_content, (p->same_as = 0, p->size = 5));
    REFUSED(RECORD_CONTENT, struct record_content, p->st.st_size = 5);
    REFUSED(RECORD_CONTENT, struct record_content, memset(p->first, 'x', 40));
    REFUSED(RECORD_REALPATH, char, p[10] = 'x');
    REFUSED(RECORD_LIBRARY, char, p[r->payload_size - 1] = 'x');
    REFUSED(RECORD_ROOTS, char, p[10] = 'x');
    REFUSED(RECORD_ORIGIN, char, p[10] = 'x');
    REFUSED(RECORD_UNSERVED, char, p[10] = 'x');
    REFUSED(RECORD_STAT, struct record_stat, r->kind = RECORD_KINDS);
    REFUSED(RECORD_STAT, struct record_stat, r->kind = 0);
    REFUSED(RECORD_STAT, struct record_stat, r->kind = RECORD_MIRROR); /* of another size */
    REFUSED(RECORD_STALE, char, r->kind = RECORD_ROOTS);               /* has no text */
    REFUSED(RECORD_STALE, char, (r->kind = RECORD_MIRROR, r->error = 2));
}

static void finds_names_in_a_listing(void **state)
{
    struct record *r = sample_record(RECORD_LIST, path);
    const struct record_list_entry *e = NULL;
    int n = 0;

    (void)state;
    assert_int_equal(record_list_find(r, "__init__.py")->inode, 100);
    assert_int_equal(record_list_find(r, "b")->inode, 103);
    assert_null(record_list_find(r, "c"));
    assert_null(record_list_find(r, ""));
    while ((e = record_list_next(r, e)) != NULL) {
        assert_int_equal(e->inode, 100 + n);
        n++;
    }
    assert_int_equal(n, 4);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_valid),
        cmocka_unit_test(any_flipped_bit_is_refused),
        cmocka_unit_test(meant_damage_is_harmless),
        cmocka_unit_test(impossible_contents_are_refused),
        cmocka_unit_test(finds_names_in_a_listing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
