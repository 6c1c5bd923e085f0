/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest/manifest.h: records with any name survive; no damaged line does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/pathmap.h"
#include "manifest/manifest.h"

static const struct record records[] = {
    {{.type = ENTRY_DIR, .path = "", .mode = 0755, .mtime = {1600000000, 5}}, 0, "-"},
    {{.type = ENTRY_FILE,
      .path = "a b/%41\t\"\xff",
      .mode = 0644,
      .size = 1ULL << 40,
      .mtime = {-3, 999999999}},
     ~0ULL,
     "b01"},
    {{.type = ENTRY_SYMLINK, .path = "l", .link = "../x y", .mode = 0777}, 0, "t0"},
    {{.type = ENTRY_HARDLINK, .path = "h", .link = "a b/%41\t\"\xff", .mode = 0600}, 0, "-"},
};
#define N (sizeof records / sizeof *records)

static char *manifest_write_all(size_t *n)
{
    char *text;
    struct error err = {0};
    struct manifest_head h = {
        .kind = "venv",
        .framing = "gz",
        .files = 3,
        .bytes = 4096,
        .prefixes = 2,
        .prefix = {{(char *)"/a b", (char *)""}, {(char *)"/usr", (char *)".base"}}};
    FILE *out = open_memstream(&text, n);
    struct manifest_writer *w = manifest_create(out, &h);
    for (size_t i = 0; i < N; i++) {
        manifest_add(w, &records[i]);
    }
    assert_int_equal(manifest_finish(w, &err), 0);
    fclose(out);
    return text;
}

static void manifest_round_trip(void **state)
{
    size_t n;
    char *text = manifest_write_all(&n);
    struct error err = {0};
    struct record r;
    FILE *in = fmemopen(text, n, "r");
    struct manifest_reader *m = manifest_open(in, &err);
    (void)state;
    assert_non_null(m);
    assert_string_equal(manifest_head(m)->prefix[0].old, "/a b");
    assert_string_equal(manifest_head(m)->prefix[1].subdir, ".base");
    assert_int_equal(manifest_head(m)->bytes, 4096);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(manifest_next(m, &r, &err), 1);
        const struct entry *got = &r.entry, *want = &records[i].entry;
        assert_int_equal(got->type, want->type);
        assert_string_equal(got->path, want->path);
        assert_int_equal(got->mode, want->mode & 0755); /* nobody else may write */
        assert_true(got->size == want->size && r.sum == records[i].sum);
        assert_true(got->mtime.tv_sec == want->mtime.tv_sec &&
                    got->mtime.tv_nsec == want->mtime.tv_nsec);
        assert_string_equal(r.reloc, records[i].reloc);
        assert_int_equal(got->link == NULL, want->link == NULL);
        if (want->link != NULL) {
            assert_string_equal(got->link, want->link);
        }
    }
    assert_int_equal(manifest_next(m, &r, &err), 0);
    manifest_close(m);
    fclose(in);
    free(text);
}

/* 1 if the whole manifest is accepted. */
static int accepted(const char *text, size_t n)
{
    struct error err = {0};
    struct record r;
    int got = -1;
    FILE *in = n ? fmemopen((void *)text, n, "r") : NULL;
    struct manifest_reader *m = in != NULL ? manifest_open(in, &err) : NULL;
    while (m != NULL && (got = manifest_next(m, &r, &err)) > 0) {
    }
    manifest_close(m);
    if (in != NULL) {
        fclose(in);
    }
    return got == 0;
}

static void manifest_damage(void **state)
{
    size_t n;
    char *text = manifest_write_all(&n);
    (void)state;
    assert_true(accepted(text, n));
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 2;
        assert_false(accepted(text, n));
        text[i] ^= 2;
        assert_false(accepted(text, i));
    }
    free(text);
}

static void pathmap_keeps_values(void **state)
{
    struct pathmap *m = pathmap_new();
    char path[32];
    (void)state;
    for (int i = 0; i < 10000; i++) {
        snprintf(path, sizeof path, "p%d", i);
        assert_null(pathmap_get(m, path));
        pathmap_put(m, path)->layer = i;
    }
    for (int i = 0; i < 10000; i++) {
        snprintf(path, sizeof path, "p%d", i);
        assert_int_equal(pathmap_get(m, path)->layer, i);
    }
    pathmap_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(manifest_round_trip),
                                       cmocka_unit_test(manifest_damage),
                                       cmocka_unit_test(pathmap_keeps_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
