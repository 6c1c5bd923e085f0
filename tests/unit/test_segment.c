/* SPDX-License-Identifier: BSD-3-Clause */
/* cache/segment: two processes at once, a full segment, claims, the ring, the walk, foreign and
 * hostile files. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "cache/segment.h"
#include "faults.h"
#include "samples.h"

enum { CAPACITY = 16 << 20, NONCE = 4711, EACH = 3000 };

static struct segment segment;

static int segment_setup(void **state)
{
    return scratch_setup(state) ||
           segment_create(&segment, scratch_path("index"), CAPACITY, 2, NONCE);
}

static int segment_teardown(void **state)
{
    segment_detach(&segment);
    return scratch_teardown(state);
}

static struct fi_query numbered(int i, char name[64])
{
    snprintf(name, 64, "/root/file-%d", i);
    return query_make(RECORD_REALPATH, 0, name, strlen(name));
}

static const struct record *insert(struct segment *s, int i)
{
    char name[64];
    struct record *from;
    const struct record *r;

    numbered(i, name);
    from = sample_record(RECORD_REALPATH, name);
    r = segment_insert(s, from);
    free(from);
    return r;
}

static const struct record *find_in_segment(const struct segment *s, int i)
{
    char name[64];
    struct fi_query q = numbered(i, name);

    return segment_find(s, &q);
}

static void finds_what_was_inserted(void **state)
{
    char name[64];
    struct fi_query q;

    (void)state;
    assert_null(find_in_segment(&segment, 1));
    assert_non_null(insert(&segment, 1));
    assert_ptr_equal(find_in_segment(&segment, 1),
                     (char *)segment.header + segment_arena_start(&segment));
    assert_true(record_valid(find_in_segment(&segment, 1), CAPACITY));
    assert_null(find_in_segment(&segment, 2));
    q = numbered(1, name);
    q = query_make(RECORD_REALPATH, 1, name, q.length); /* another argument */
    assert_null(segment_find(&segment, &q));
    q = query_make(RECORD_STAT, 0, name, q.length); /* another kind */
    assert_null(segment_find(&segment, &q));
}

static void a_newer_record_hides_an_older(void **state)
{
    const struct record *first = insert(&segment, 1);
    const struct record *second = insert(&segment, 1);

    (void)state;
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(find_in_segment(&segment, 1), second);
}

/* A second process, with a mapping of its own, inserts at the same time. */
static int insert_many(void *first)
{
    struct segment mine;

    if (segment_attach(&mine, scratch_path("index"), NONCE) != 0) {
        return 1;
    }
    for (int i = 0; i < EACH; i++) {
        if (insert(&mine, *(int *)first + i) == NULL) {
            return 2;
        }
        segment_announce(&mine);
    }
    return 0;
}

/* Not by threads that fork: in their children an allocator may be locked for ever. */
static pid_t start_inserting(int *first)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(insert_many(first));
    }
    return pid;
}

static void two_processes_insert_at_once(void **state)
{
    int starts[] = {0, EACH, 2 * EACH};
    pid_t children[2];
    uint64_t position = segment_arena_start(&segment);
    int walked = 0;
    int status;

    (void)state;
    for (int i = 0; i < 2; i++) {
        children[i] = start_inserting(&starts[i]);
    }
    for (int i = 0; i < EACH; i++) {
        assert_non_null(insert(&segment, starts[2] + i));
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 3 * EACH; i++) {
        assert_true(record_valid(find_in_segment(&segment, i), CAPACITY));
    }
    while (segment_walk(&segment, &position) != NULL) {
        walked++;
    }
    assert_int_equal(walked, 3 * EACH);
    assert_int_equal(position, segment.header->tail);
    assert_int_equal(segment.header->generation, 2 * EACH);
}

static void a_full_segment_says_so(void **state)
{
    struct segment small;
    int n = 0;

    (void)state;
    assert_int_equal(segment_create(&small, scratch_path("small"), 2 << 20, 1, NONCE), 0);
    while (insert(&small, n) != NULL) {
        n++;
    }
    assert_true(n > 100);
    assert_int_equal(small.header->full, 1);
    assert_true(small.header->tail <= small.mapped);
    assert_non_null(find_in_segment(&small, 0)); /* what is in stays */
    assert_non_null(find_in_segment(&small, n - 1));
    assert_null(find_in_segment(&small, n));
    assert_null(segment_allocate(&small, 10, 0));
    segment_detach(&small);
    assert_null(segment_allocate(&segment, 70000, 0));
    assert_null(segment_allocate(&segment, 10, 5ULL << 30));
}

static void a_full_file_system_is_no_signal(void **state)
{
    (void)state;
    assert_non_null(insert(&segment, 1));
    fault_arm(FAULT_sys_fallocate, -ENOSPC, 0, ALWAYS);
    assert_null(segment_allocate(&segment, 10, 2 << 20));
    assert_int_equal(segment.header->full, 1);
    assert_non_null(find_in_segment(&segment, 1));
}

static void segment_creation_fails_and_leaves_nothing(void **state)
{
    static const struct {
        enum fault_call call;
        int error;
    } faults[] = {{FAULT_sys_open, -EMFILE},
                  {FAULT_sys_ftruncate, -EFBIG},
                  {FAULT_sys_fallocate, -ENOSPC},
                  {FAULT_sys_mmap, -ENOMEM}};
    struct segment s;

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        fault_clear();
        fault_arm(faults[i].call, faults[i].error, 0, 1);
        assert_int_equal(segment_create(&s, scratch_path("new"), CAPACITY, 1, 1), faults[i].error);
        assert_false(scratch_has("new"));
    }
    assert_int_equal(segment_create(&s, scratch_path("index"), CAPACITY, 1, 1), -EEXIST);
}

static void abandoned_records_are_stepped_over(void **state)
{
    uint64_t position = segment_arena_start(&segment);
    struct record *r;
    struct record *pending;
    const struct record *second;

    (void)state;
    insert(&segment, 1);
    r = segment_allocate(&segment, 4, 100);
    second = insert(&segment, 2);
    pending = segment_allocate(&segment, 1, 0);
    assert_non_null(segment_walk(&segment, &position));
    assert_null(segment_walk(&segment, &position)); /* not finished: wait */
    assert_ptr_equal(segment_unfinished(&segment, position), r);
    assert_true(segment_abandon(&segment, r));
    assert_false(segment_abandon(&segment, r));
    assert_ptr_equal(segment_walk(&segment, &position), second);
    assert_false(segment_abandon(&segment, (struct record *)second));
    assert_null(segment_walk(&segment, &position));
    assert_true(segment_abandon(&segment, pending));
    assert_null(segment_walk(&segment, &position));
    assert_int_equal(position, segment.header->tail);
}

static int segment_allocate_and_die(void *unused)
{
    struct segment mine;

    (void)unused;
    return segment_attach(&mine, scratch_path("index"), NONCE) != 0 ||
           segment_allocate(&mine, 4, 100) == NULL;
}

/* Killed behind the allocation, or even before it had moved the tail. */
static void a_killed_writer_leaves_no_hole(void **state)
{
    uint64_t position = segment_arena_start(&segment);
    uint64_t start = position;
    const struct record *r;

    (void)state;
    assert_int_equal(in_child(segment_allocate_and_die, NULL), 0);
    assert_int_equal(in_child(segment_allocate_and_die, NULL), 0);
    segment.header->tail = start;
    r = insert(&segment, 1);
    assert_ptr_equal(find_in_segment(&segment, 1), r);
    assert_null(segment_walk(&segment, &position));
    assert_int_equal(position, start);
    assert_ptr_equal(segment_walk_whole(&segment, &position), r);
    assert_null(segment_walk_whole(&segment, &position));
    assert_int_equal(position, segment.header->tail);
    assert_null(segment_unfinished(&segment, position));
}

static struct record *segment_begin(int i, uint8_t flags)
{
    char name[64];
    struct fi_query q = numbered(i, name);
    struct record *r = segment_allocate(&segment, q.length, 0);

    r->kind = RECORD_REALPATH;
    r->flags = RECORD_UNAVAILABLE | flags;
    memcpy(r->path, name, q.length);
    record_seal(r);
    return r;
}

/* A walker that has not waited for it finds what comes too late nevertheless, at the end. */
static void what_is_published_too_late_is_published_again(void **state)
{
    struct record *late = segment_begin(1, 0);
    struct record *local = segment_begin(2, RECORD_LOCAL);
    const struct record *second = insert(&segment, 3);
    uint64_t position = segment_arena_start(&segment);

    (void)state;
    assert_true(segment_abandon(&segment, late));
    assert_true(segment_abandon(&segment, local));
    assert_ptr_equal(segment_walk(&segment, &position), second);
    segment_publish(&segment, late);
    segment_publish(&segment, local);
    assert_ptr_not_equal(find_in_segment(&segment, 1), late);
    assert_ptr_equal(segment_walk(&segment, &position), find_in_segment(&segment, 1));
    assert_true(record_valid(find_in_segment(&segment, 1), CAPACITY));
    assert_null(segment_walk(&segment, &position));
    assert_ptr_equal(find_in_segment(&segment, 2), local);
    assert_true(record_valid(local, CAPACITY));
    late = segment_begin(4, 0);
    segment_abandon(&segment, late);
    segment.header->full = 1;
    segment_publish(&segment, late);
    assert_null(find_in_segment(&segment, 4));
}

static void a_claim_is_held_by_one(void **state)
{
    uint64_t hash = 0x123456789abcdef0;

    (void)state;
    assert_true(segment_claim(&segment, hash));
    assert_false(segment_claim(&segment, hash));
    assert_true(segment_claimed(&segment, hash));
    assert_false(segment_claim(&segment, hash + SEGMENT_CLAIMS)); /* the same slot, another key */
    assert_false(segment_claimed(&segment, hash + SEGMENT_CLAIMS));
    segment_unclaim(&segment, hash);
    assert_false(segment_claimed(&segment, hash));
    assert_true(segment_claim(&segment, hash + SEGMENT_CLAIMS));
}

static void the_ring_keeps_its_order(void **state)
{
    struct fi_query q;
    char name[64];
    char path[4096];

    (void)state;
    assert_false(segment_next_request(&segment, &q, path));
    for (int round = 0; round < 5; round++) { /* wraps */
        for (int i = 0; i < SEGMENT_RING; i++) {
            q = numbered(i, name);
            q.argument = 5;
            assert_true(segment_ask(&segment, &q));
        }
        q = numbered(999, name);
        assert_false(segment_ask(&segment, &q)); /* full */
        for (int i = 0; i < SEGMENT_RING; i++) {
            assert_true(segment_next_request(&segment, &q, path));
            numbered(i, name);
            assert_string_equal(q.path, name);
            assert_int_equal(q.length, strlen(name));
            assert_int_equal(q.kind, RECORD_REALPATH);
            assert_int_equal(q.argument, 5);
            assert_true(q.hash == record_hash(RECORD_REALPATH, 5, name, strlen(name)));
        }
        assert_false(segment_next_request(&segment, &q, path));
    }
    q.length = sizeof path;
    assert_false(segment_ask(&segment, &q)); /* too long to be a path */
}

static void *announce_soon(void *unused)
{
    (void)unused;
    sys_nap_ns(20000000);
    segment_announce(&segment);
    while (!atomic_load(&segment.header->leader_sleeps)) { /* a bell that rings before is missed */
        sys_nap_ns(1000000);
    }
    segment_ring(&segment);
    return NULL;
}

static void waits_end(void **state)
{
    int64_t start = sys_now_ns();
    uint32_t generation = segment.header->generation;
    pthread_t thread;

    (void)state;
    segment_wait(&segment, generation, 10000000);
    assert_in_range(sys_now_ns() - start, 10000000, 2000000000);
    segment_wait(&segment, generation - 1, 10000000000); /* something was announced meanwhile */
    pthread_create(&thread, NULL, announce_soon, NULL);
    segment_wait(&segment, generation, 10000000000);
    assert_int_equal(segment.header->generation, generation + 1);
    segment_sleep(&segment, 10000000000);
    assert_in_range(sys_now_ns() - start, 0, 5000000000);
    pthread_join(thread, NULL);
    assert_int_equal(segment.header->waiters, 0);
}

static int attach_segment(const char *name, uint64_t nonce)
{
    struct segment s;
    int error = segment_attach(&s, scratch_path(name), nonce);

    if (error == 0) {
        segment_detach(&s);
    } else {
        assert_null(s.header);
    }
    return error;
}

static void refuses_foreign_files(void **state)
{
    (void)state;
    assert_int_equal(attach_segment("index", NONCE), 0);
    assert_int_equal(attach_segment("index", NONCE + 1), -EPROTO);
    assert_int_equal(attach_segment("none", NONCE), -ENOENT);
    scratch_text("text", "this is no segment");
    assert_int_equal(attach_segment("text", NONCE), -EPROTO);
    scratch_write("empty", "", 0, 0600);
    assert_int_equal(attach_segment("empty", NONCE), -EPROTO);
    assert_int_equal(symlink(scratch_path("index"), scratch_path("link")), 0);
    assert_int_equal(attach_segment("link", NONCE), -ELOOP);
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
    assert_int_equal(attach_segment("fifo", NONCE), -EPROTO); /* and does not wait for a writer */
    assert_int_equal(truncate(scratch_path("index"), CAPACITY / 2), 0);
    assert_int_equal(attach_segment("index", NONCE), -EPROTO);
}

static void refuses_bad_headers(void **state)
{
    struct segment_header *h = segment.header;
    struct segment_header good;

    (void)state;
    memcpy(&good, h, offsetof(struct segment_header, claims));
#define BAD(statement)                                                                             \
    do {                                                                                           \
        statement;                                                                                 \
        assert_int_equal(attach_segment("index", NONCE), -EPROTO);                                 \
        memcpy(h, &good, offsetof(struct segment_header, claims));                                 \
        assert_int_equal(attach_segment("index", NONCE), 0);                                       \
    } while (0)
    BAD(h->magic++);
    BAD(h->version++);
    BAD(h->header_size += 4096);
    BAD(h->capacity = CAPACITY + 1);
    BAD(h->n_ranks = UINT32_MAX);
    BAD(h->n_ranks = 1 << 19);
    BAD(h->tail = CAPACITY + 8);
    BAD(h->tail = UINT64_MAX);
    BAD(h->reserved = CAPACITY + 8);
}

static void segment_attaching_survives_faults(void **state)
{
    (void)state;
    fault_arm(FAULT_sys_mmap, 1, 0, 1);
    assert_int_equal(attach_segment("index", NONCE), -ENOMEM);
    fault_arm(FAULT_sys_mmap, 1, 1, 1);
    assert_int_equal(attach_segment("index", NONCE), -ENOMEM);
    fault_arm(FAULT_sys_open, -EMFILE, 0, 1);
    assert_int_equal(attach_segment("index", NONCE), -EMFILE);
    fault_arm(FAULT_sys_fstat, -EIO, 0, 1);
    assert_int_equal(attach_segment("index", NONCE), -EIO);
    assert_int_equal(attach_segment("index", NONCE), 0);
}

/* The maker of a segment trusts it; who attached examines every record. */
static void attached_processes_examine_records(void **state)
{
    struct record *r = (struct record *)insert(&segment, 1);
    struct segment s;

    (void)state;
    assert_int_equal(segment_attach(&s, scratch_path("index"), NONCE), 0);
    assert_non_null(find_in_segment(&s, 1));
    insert(&segment, 2);
    ((struct record *)find_in_segment(&segment, 2))->payload_size++;
    assert_non_null(find_in_segment(&segment, 2));
    assert_null(find_in_segment(&s, 2));
    r->next = (uint32_t)(((char *)r - (char *)segment.header) / 8); /* a loop */
    {
        struct fi_query q = query_make(RECORD_STAT, 0, "/x", 2);

        q.hash = r->hash; /* in the same bucket, not there */
        assert_null(segment_find(&s, &q));
        assert_null(segment_find(&segment, &q));
    }
    segment.header->tail = UINT64_MAX - 15; /* not believed either */
    assert_null(segment_allocate(&s, 1, 0));
    segment.header->full = 0;
    segment.header->tail = 12345;
    assert_null(segment_allocate(&s, 1, 0));
    segment_detach(&s);
}

#define segment_test(f) cmocka_unit_test_setup_teardown(f, segment_setup, segment_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        segment_test(finds_what_was_inserted),
        segment_test(a_newer_record_hides_an_older),
        segment_test(two_processes_insert_at_once),
        segment_test(a_full_segment_says_so),
        segment_test(a_full_file_system_is_no_signal),
        segment_test(segment_creation_fails_and_leaves_nothing),
        segment_test(abandoned_records_are_stepped_over),
        segment_test(a_killed_writer_leaves_no_hole),
        segment_test(what_is_published_too_late_is_published_again),
        segment_test(a_claim_is_held_by_one),
        segment_test(the_ring_keeps_its_order),
        segment_test(waits_end),
        segment_test(refuses_foreign_files),
        segment_test(refuses_bad_headers),
        segment_test(segment_attaching_survives_faults),
        segment_test(attached_processes_examine_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
