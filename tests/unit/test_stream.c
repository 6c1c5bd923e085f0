/* SPDX-License-Identifier: BSD-3-Clause */
/* service/stream: from one node cache to another in pieces of any size; damage, no
 * room, faults. */
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/protected_fd.h"
#include "base/sys.h"
#include "broadcast/stream.h"
#include "cache/mirror.h"
#include "faults.h"
#include "fill/lookup.h"
#include "samples.h"

static struct node_cache from;
static struct node_cache to;
static const struct lookup_limits limits = {1 << 30};
static const struct device_map same_devices = {0};

static int stream_setup(void **state)
{
    return scratch_setup(state) || mkdir(scratch_path("tree"), 0755) ||
           node_create(&from, scratch(), 1) || node_create(&to, scratch(), 1);
}

static int stream_teardown(void **state)
{
    segment_detach(&from.index);
    segment_detach(&to.index);
    protected_fd_close(from.lock);
    protected_fd_close(to.lock);
    return scratch_teardown(state);
}

static const struct record *stream_look(enum record_kind kind, const char *name)
{
    const char *path = scratch_path(name);
    struct fi_query q = query_make(kind, 0, path, strlen(path));

    return lookup_real(&from, &q, 0, &limits);
}

static const struct record *stream_arrived(enum record_kind kind, const char *name)
{
    const char *path = scratch_path(name);
    struct fi_query q = query_make(kind, 0, path, strlen(path));

    return segment_find(&to.index, &q);
}

/* Files of many sizes, records of many kinds, some of them local. */
static void make_content(void)
{
    static const size_t sizes[] = {0, 1, 7, 8, 4095, 4096, 100000, 3000000};
    char *bytes = malloc(3000000);
    char name[64];

    srandom(42);
    for (size_t i = 0; i < 3000000; i++) {
        bytes[i] = (char)random();
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(name, sizeof name, "tree/f%zu", i);
        scratch_write(name, bytes, sizes[i], i % 2 ? 0755 : 0640);
        stream_look(RECORD_CONTENT, name);
        stream_look(RECORD_STAT, name);
        stream_look(RECORD_ACCESS, name);
    }
    free(bytes);
    assert_int_equal(link(scratch_path("tree/f4"), scratch_path("tree/hard")), 0);
    stream_look(RECORD_CONTENT, "tree/hard");
    stream_look(RECORD_LIST, "tree");
    stream_look(RECORD_STAT, "tree/none");
}

static void transfer(struct stream_writer *w, struct stream_reader *r, size_t largest)
{
    static char block[1 << 20];
    size_t n;

    while ((n = stream_write(w, block, (size_t)random() % largest + 1)) > 0) {
        size_t cut = (size_t)random() % n;

        stream_read(r, block, cut);
        stream_read(r, block + cut, n - cut);
    }
}

static bool same_bytes(const char *path)
{
    char name[FI_PATH_MAX + 512];
    size_t n, m;
    char *a = scratch_read(path, &n);
    char *b;
    bool same;

    assert_true(mirror_path(&to, path, name, sizeof name));
    b = scratch_read(name, &m);
    same = n == m && memcmp(a, b, n) == 0;
    free(a);
    free(b);
    return same;
}

/* All that is not local is there, byte for byte. */
static void assert_all_arrived(void)
{
    uint64_t position = segment_arena_start(&from.index);
    const struct record *r;
    int n = 0;

    while ((r = segment_walk(&from.index, &position)) != NULL) {
        struct fi_query q =
            query_make((enum record_kind)r->kind, r->argument, r->path, r->path_length);
        const struct record *copy = segment_find(&to.index, &q);

        if ((r->flags & RECORD_LOCAL) != 0) {
            assert_true(copy == NULL || (copy->flags & RECORD_LOCAL) != 0);
            continue;
        }
        assert_non_null(copy);
        assert_memory_equal(&r->hash, &copy->hash, r->size - offsetof(struct record, hash));
        assert_true(r->kind != RECORD_CONTENT || same_bytes(r->path));
        n++;
    }
    assert_true(n >= 27);
}

static void arrives_in_blocks_of_any_size(void **state)
{
    static const size_t sizes[] = {1 << 20, 10000, 4084, 257};

    (void)state;
    make_content();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct stream_writer w;
        struct stream_reader r;

        stream_writer_init(&w, &from);
        stream_reader_init(&r, &to, &same_devices);
        assert_false(stream_is_drained(&w));
        transfer(&w, &r, sizes[i]);
        assert_true(stream_is_drained(&w));
        assert_false(r.broken);
        stream_reader_end(&r);
        stream_writer_end(&w);
        assert_all_arrived();
    }
}

static void goes_on_with_what_comes_later(void **state)
{
    struct stream_writer w;
    struct stream_reader r;

    (void)state;
    stream_writer_init(&w, &from);
    stream_reader_init(&r, &to, &same_devices);
    transfer(&w, &r, 100);
    assert_true(stream_is_drained(&w));
    make_content();
    assert_false(stream_is_drained(&w));
    transfer(&w, &r, 100000);
    assert_all_arrived();
    stream_reader_end(&r);
    stream_writer_end(&w);
}

static int stream_allocate_and_die(void *unused)
{
    struct segment mine;
    char file[300];

    (void)unused;
    snprintf(file, sizeof file, "%s/index", from.directory);
    if (segment_attach(&mine, file, from.index.header->nonce) != 0) {
        return 1;
    }
    return segment_allocate(&mine, 4, 100) == NULL;
}

/* A process that was killed while it wrote a record: the others do without that one. */
static void goes_on_behind_a_record_that_stays_unfinished(void **state)
{
    struct stream_writer w;
    struct stream_reader r;

    (void)state;
    stream_writer_init(&w, &from);
    stream_reader_init(&r, &to, &same_devices);
    assert_int_equal(in_child(stream_allocate_and_die, NULL), 0);
    assert_int_equal(in_child(stream_allocate_and_die, NULL), 0);
    stream_look(RECORD_STAT, "tree");
    transfer(&w, &r, 100000);
    assert_null(stream_arrived(RECORD_STAT, "tree")); /* it may only be slow */
    assert_false(stream_is_drained(&w));
    sys_nap_ns(1100000000);
    transfer(&w, &r, 100000);
    assert_non_null(stream_arrived(RECORD_STAT, "tree"));
    assert_true(stream_is_drained(&w));
    stream_reader_end(&r);
    stream_writer_end(&w);
}

static void a_node_without_cache_swallows_it(void **state)
{
    struct stream_writer w;
    struct stream_reader r;

    (void)state;
    make_content();
    stream_writer_init(&w, &from);
    stream_reader_init(&r, NULL, &same_devices);
    transfer(&w, &r, 100000);
    assert_false(r.broken);
    stream_reader_end(&r);
    stream_writer_end(&w);
}

/* Every byte of the first record in turn is wrong: nothing of it is believed, and the ranks do not
 * wait for more. */
static void damage_ends_the_stream(void **state)
{
    char block[4096];
    struct stream_writer w;
    size_t n;

    (void)state;
    stream_look(RECORD_STAT, "tree");
    stream_writer_init(&w, &from);
    n = stream_write(&w, block, sizeof block);
    assert_true(n > 300);
    capture_begin();
    for (size_t i = 4; i < n; i++) {
        struct stream_reader r;

        atomic_store(&to.index.header->state, SERVICE_RUNNING);
        stream_reader_init(&r, &to, &same_devices);
        block[i] = (char)(block[i] ^ 0x55);
        stream_read(&r, block, n);
        stream_read(&r, block, n);
        block[i] = (char)(block[i] ^ 0x55);
        if (i < 8 && !r.broken) { /* a larger size: more is expected, the next bytes do not fit */
            stream_reader_end(&r);
            continue;
        }
        assert_true(r.broken);
        assert_int_equal(atomic_load(&to.index.header->state), SERVICE_DEAD);
        stream_read(&r, block, n); /* also what is sound is not taken any more */
        assert_null(stream_arrived(RECORD_STAT, "tree"));
        stream_reader_end(&r);
    }
    stream_writer_end(&w);
    capture_end();
}

/* A sound record, but not one that a root sends: of a name that is not normal, or of what belongs
 * to one node. */
static void takes_nothing_that_does_not_travel(void **state)
{
    static const struct {
        const char *path;
        enum record_kind kind;
        uint8_t flags;
        bool taken;
    } cases[] = {{"/sw/a", RECORD_ACCESS, 0, true},
                 {"/sw/../a", RECORD_ACCESS, 0, false},
                 {"sw/a", RECORD_ACCESS, 0, false},
                 {"/sw//a", RECORD_ACCESS, 0, false},
                 {"/sw/b", RECORD_STALE, 0, false},
                 {"/sw/b", RECORD_STALE, RECORD_LOCAL, false},
                 {"/sw/c", RECORD_ACCESS, RECORD_LOCAL, false}};
    union {
        struct record r;
        char bytes[512];
    } block;

    (void)state;
    capture_begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].path);
        struct fi_query q = query_make(cases[i].kind, 0, cases[i].path, length);
        struct stream_reader r;

        memset(&block, 0, sizeof block);
        block.r.kind = (uint8_t)cases[i].kind;
        block.r.flags = cases[i].flags;
        block.r.path_length = (uint16_t)length;
        memcpy(block.r.path, cases[i].path, length);
        record_seal(&block.r);
        atomic_store(&block.r.size, record_size_for(length, 0));
        stream_reader_init(&r, &to, &same_devices);
        stream_read(&r, block.bytes, record_size_for(length, 0));
        assert_int_equal(r.broken, !cases[i].taken);
        assert_int_equal(segment_find(&to.index, &q) != NULL, cases[i].taken);
        stream_reader_end(&r);
    }
    capture_end();
}

static void no_room_is_said_once(void **state)
{
    struct stream_writer w;
    struct stream_reader r;
    const char *text;

    (void)state;
    scratch_text("tree/a", "aaaa");
    scratch_text("tree/b", "bbbb");
    scratch_text("tree/c", "cccc");
    stream_look(RECORD_CONTENT, "tree/a");
    stream_look(RECORD_CONTENT, "tree/b");
    stream_look(RECORD_CONTENT, "tree/c");
    stream_writer_init(&w, &from);
    stream_reader_init(&r, &to, &same_devices);
    capture_begin();
    fault_arm(FAULT_sys_pwrite_all, -ENOSPC, 0, 2);
    transfer(&w, &r, 100000);
    text = capture_end();
    assert_int_equal(occurrences(text, "is full"), 1);
    assert_true((stream_arrived(RECORD_CONTENT, "tree/a")->flags & RECORD_UNAVAILABLE) != 0);
    assert_true((stream_arrived(RECORD_CONTENT, "tree/b")->flags & RECORD_UNAVAILABLE) != 0);
    assert_true(record_valid(stream_arrived(RECORD_CONTENT, "tree/a"),
                             SIZE_MAX)); /* attached processes will look */
    assert_false((stream_arrived(RECORD_CONTENT, "tree/c")->flags & RECORD_UNAVAILABLE) != 0);
    assert_true(same_bytes(scratch_path("tree/c")));
    stream_reader_end(&r);
    stream_writer_end(&w);
}

static void other_faults_of_the_reader(void **state)
{
    static const enum fault_call calls[] = {FAULT_sys_open, FAULT_sys_rename, FAULT_sys_fstatfs,
                                            FAULT_sys_fchmod};

    (void)state;
    scratch_text("tree/a", "aaaa");
    stream_look(RECORD_CONTENT, "tree/a");
    capture_begin();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char block[4096];
        struct stream_writer w;
        struct stream_reader r;
        size_t n;

        stream_writer_init(&w, &from);
        stream_reader_init(&r, &to, &same_devices);
        n = stream_write(&w, block, sizeof block);
        fault_clear();
        fault_arm(calls[i], -EMFILE, 0, 1);
        atomic_store(&to.index.header->granted_until, 0); /* so that it asks for the room */
        stream_read(&r, block, n);
        assert_true((stream_arrived(RECORD_CONTENT, "tree/a")->flags & RECORD_UNAVAILABLE) != 0);
        assert_false(r.broken);
        stream_reader_end(&r);
        stream_writer_end(&w);
    }
    capture_end();
}

/* The reader's memory for a record: no more than a record may need, and its lack ends the stream.
 */
static void memory_is_bounded(void **state)
{
    struct record huge = {.size = UINT32_MAX - 7};
    char block[4096];
    struct stream_writer w;
    struct stream_reader r;
    size_t n;

    (void)state;
    capture_begin();
    stream_reader_init(&r, &to, &same_devices);
    stream_read(&r, (char *)&huge, sizeof huge);
    stream_read(&r, (char *)&huge, sizeof huge);
    assert_true(r.broken);
    stream_reader_end(&r);
    stream_look(RECORD_STAT, "tree");
    stream_writer_init(&w, &from);
    n = stream_write(&w, block, sizeof block);
    stream_reader_init(&r, &to, &same_devices);
    fault_arm(FAULT_realloc, 1, 0, 1);
    stream_read(&r, block, n);
    assert_true(r.broken);
    stream_reader_end(&r);
    stream_writer_end(&w);
    capture_end();
}

static void ends_in_the_middle_of_a_file(void **state)
{
    char block[2000];
    struct stream_writer w;
    struct stream_reader r;
    char name[300];

    (void)state;
    make_content();
    stream_writer_init(&w, &from);
    stream_reader_init(&r, &to, &same_devices);
    while (r.file_left == 0) {
        size_t n = stream_write(&w, block, sizeof block);

        stream_read(&r, block, n);
    }
    stream_reader_end(&r);
    snprintf(name, sizeof name, "%s/tmp", to.directory + strlen(scratch()) + 1);
    assert_int_equal(scratch_count(name), 0);
}

/* A copy that rank 0 cannot open any more (its program has used up all descriptors) must not be
 * waited for elsewhere. */
static void an_unreadable_copy_is_said_to_be_unavailable(void **state)
{
    struct stream_writer w;
    struct stream_reader r;

    (void)state;
    scratch_text("tree/a", "aaaa");
    scratch_text("tree/b", "bbbb");
    stream_look(RECORD_CONTENT, "tree/a");
    stream_look(RECORD_CONTENT, "tree/b");
    stream_writer_init(&w, &from);
    stream_reader_init(&r, &to, &same_devices);
    capture_begin();
    fault_arm(FAULT_sys_open, -EMFILE, 0, 1);
    transfer(&w, &r, 100000);
    capture_end();
    assert_false(r.broken);
    assert_non_null(stream_arrived(RECORD_CONTENT, "tree/a"));
    assert_true((stream_arrived(RECORD_CONTENT, "tree/a")->flags & RECORD_UNAVAILABLE) != 0);
    assert_true(same_bytes(scratch_path("tree/b")));
    stream_reader_end(&r);
    stream_writer_end(&w);
}

/* The file system has another st_dev on the node that receives. */
static void devices_become_those_of_the_node(void **state)
{
    struct stream_writer w;
    struct stream_reader r;
    struct device_map map = {1, {{0, 77}}};
    struct stat st;

    (void)state;
    scratch_write("tree/a", "bytes", 5, 0644);
    assert_int_equal(symlink("a", scratch_path("tree/link")), 0);
    assert_int_equal(stat(scratch_path("tree/a"), &st), 0);
    map.pairs[0].there = st.st_dev;
    stream_look(RECORD_STAT, "tree/link");
    stream_look(RECORD_CONTENT, "tree/a");
    stream_writer_init(&w, &from);
    stream_reader_init(&r, &to, &map);
    transfer(&w, &r, 100000);
    const struct record_stat *link = record_payload(stream_arrived(RECORD_STAT, "tree/link"));
    const struct record_content *content = record_payload(stream_arrived(RECORD_CONTENT, "tree/a"));
    assert_int_equal(link->link.st_dev, 77);
    assert_int_equal(link->target.st_dev, 77);
    assert_int_equal(link->target.st_ino, st.st_ino);
    assert_int_equal(content->st.st_dev, 77);
    stream_reader_end(&r);
    stream_writer_end(&w);
}

#define stream_test(f) cmocka_unit_test_setup_teardown(f, stream_setup, stream_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(arrives_in_blocks_of_any_size),
        stream_test(goes_on_with_what_comes_later),
        stream_test(goes_on_behind_a_record_that_stays_unfinished),
        stream_test(a_node_without_cache_swallows_it),
        stream_test(damage_ends_the_stream),
        stream_test(takes_nothing_that_does_not_travel),
        stream_test(no_room_is_said_once),
        stream_test(other_faults_of_the_reader),
        stream_test(memory_is_bounded),
        stream_test(ends_in_the_middle_of_a_file),
        stream_test(an_unreadable_copy_is_said_to_be_unavailable),
        stream_test(devices_become_those_of_the_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
