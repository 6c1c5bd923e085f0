/* SPDX-License-Identifier: BSD-3-Clause */
/* cache/give_back: what nobody has open or mapped goes, what is in use stays; who opens a file at the
 * same moment has it whole, or not at all. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/protected_fd.h"
#include "base/sys.h"
#include "broadcast/stream.h"
#include "cache/give_back.h"
#include "cache/library_record.h"
#include "cache/mirror.h"
#include "faults.h"

enum { SIZE = 10000 };

static struct node_cache node;
static char bytes[SIZE];

/* As the service thread does, which alone gives back. */
static void block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static int give_back_setup(void **state)
{
    block_signals();
    memset(bytes, 'x', sizeof bytes);
    fi_count->files_given_back = 0;
    fi_count->bytes_given_back = 0;
    return scratch_setup(state) || node_create(&node, scratch(), 1);
}

static int give_back_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static struct fi_query content_query(const char *path, uint64_t argument)
{
    return query_make(RECORD_CONTENT, argument, path, strlen(path));
}

/* Puts a file into the mirror, with the record of its content. first: another name of the same
 * file, or NULL. */
static void keep(const char *path, uint64_t argument, const char *first)
{
    struct stat st = {.st_mode = S_IFREG | 0644, .st_size = SIZE, .st_ino = 7, .st_nlink = 1};
    struct fi_query q = content_query(path, argument);
    union {
        char room[sizeof(struct record_content) + 64];
        struct record_content c;
    } payload = {.room = {0}};
    struct mirror_writer w;

    payload.c.st = st;
    payload.c.size = SIZE;
    if (first != NULL) {
        assert_int_equal(mirror_link(&node, first, path, 0), 0);
        payload.c.same_as = 1;
        strcpy(payload.c.first, first);
    } else {
        assert_int_equal(mirror_begin(&w, &node, SIZE), 0);
        assert_int_equal(mirror_append(&w, bytes, SIZE), 0);
        assert_int_equal(mirror_finish(&w, &node, path, &st), 0);
    }
    assert_non_null(segment_add(&node.index, &q, 0, &payload, sizeof payload));
}

static const char *file_of(const char *path)
{
    static char name[MIRROR_PATH_MAX];

    assert_true(mirror_path(&node, path, name, sizeof name));
    return name;
}

static bool is_kept(const char *path)
{
    struct fi_query q = content_query(path, 0);
    bool has_record = segment_find(&node.index, &q) != NULL;

    assert_int_equal(access(file_of(path), F_OK) == 0, has_record);
    return has_record;
}

static void give_back(enum give_back_how how)
{
    struct give_back walk;

    give_back_begin(&walk, &node, how);
    while (give_back_some(&walk, 2)) {
    }
}

static void what_is_in_use_stays(void **state)
{
    void *mapping;
    int fd;

    (void)state;
    keep("/sw/free.py", 0, NULL);
    keep("/sw/open.py", 0, NULL);
    keep("/sw/mapped.so", 0, NULL);
    keep("/sw/free.so", 0, NULL);
    assert_int_equal(node.index.header->content_peak, 4 * SIZE);
    fd = open(file_of("/sw/mapped.so"), O_RDONLY);
    mapping = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    fd = open(file_of("/sw/open.py"), O_RDONLY);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_false(is_kept("/sw/free.py"));
    assert_false(is_kept("/sw/free.so"));
    assert_true(is_kept("/sw/open.py"));
    assert_true(is_kept("/sw/mapped.so"));
    assert_int_equal(fi_count->files_given_back, 2);
    assert_int_equal(fi_count->bytes_given_back, 2 * SIZE);
    assert_int_equal(node.index.header->content_bytes, 2 * SIZE);
    assert_int_equal(node.index.header->held, 2 * SIZE);
    assert_int_equal(node.index.header->content_peak, 4 * SIZE);
    close(fd);
    munmap(mapping, SIZE);
    give_back(GIVE_BACK_EVERYWHERE); /* its users have ended */
    assert_false(is_kept("/sw/open.py"));
    assert_false(is_kept("/sw/mapped.so"));
}

static void it_is_a_miss_afterwards(void **state)
{
    struct fi_query q = content_query("/sw/a.py", 0);
    struct fi_query other = content_query("/sw/b.py", 0);
    const struct record *r;

    (void)state;
    keep("/sw/a.py", 0, NULL);
    r = segment_find(&node.index, &q);
    assert_false(segment_was_given_back(&node.index, &q));
    give_back(GIVE_BACK_EVERYWHERE);
    assert_null(segment_find(&node.index, &q));
    assert_ptr_equal(segment_find_past(&node.index, &q), r);
    assert_true(segment_was_given_back(&node.index, &q));
    assert_null(segment_find_past(&node.index, &other));
    keep("/sw/a.py", 0, NULL); /* was asked for again */
    assert_true(segment_find(&node.index, &q) != r);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_true(is_kept("/sw/a.py"));
}

static void what_the_plan_expects_stays_until_it_is_used(void **state)
{
    struct fi_query q = content_query("/sw/a.py", 0);

    (void)state;
    keep("/sw/a.py", 0, NULL);
    __atomic_fetch_or((uint8_t *)&segment_find(&node.index, &q)->flags, RECORD_PLANNED,
                      __ATOMIC_RELAXED);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_true(is_kept("/sw/a.py"));
    record_mark_used(segment_find(&node.index, &q));
    give_back(GIVE_BACK_EVERYWHERE);
    assert_false(is_kept("/sw/a.py"));
}

static void both_questions_share_a_file(void **state)
{
    struct fi_query all = content_query("/sw/a.so", 0);
    struct fi_query mapped = content_query("/sw/a.so", RECORD_MAPPED);

    (void)state;
    keep("/sw/a.so", RECORD_MAPPED, NULL);
    keep("/sw/a.so", 0, NULL);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_null(segment_find(&node.index, &all));
    assert_null(segment_find(&node.index, &mapped));
    assert_int_equal(access(file_of("/sw/a.so"), F_OK), -1);
}

static void other_names_keep_a_file(void **state)
{
    int fd;

    (void)state;
    keep("/sw/a", 0, NULL);
    keep("/sw/b", 0, "/sw/a");
    fd = open(file_of("/sw/b"), O_RDONLY);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_true(is_kept("/sw/a"));
    assert_true(is_kept("/sw/b"));
    close(fd);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_false(is_kept("/sw/a"));
    assert_false(is_kept("/sw/b"));
    assert_int_equal(fi_count->bytes_given_back, SIZE); /* once */
}

static void libraries_go_with_their_files(void **state)
{
    static const char needs[] = "D/sw/x.so\0\0\0D/sw/lib/../free.so\0\0\0";
    static const char whole[] = "D/sw/x.so\0\0\0@/usr/lib/libc.so\0\0\0";
    struct fi_query lacks = query_make(RECORD_LIBRARY, 0, "/sw/x.so", 8);
    struct fi_query has = query_make(RECORD_LIBRARY, 0, "/sw/y.so", 8);
    int fd;

    (void)state;
    keep("/sw/x.so", RECORD_MAPPED, NULL);
    keep("/sw/free.so", RECORD_MAPPED, NULL);
    assert_non_null(segment_add(&node.index, &lacks, 0, needs, sizeof needs));
    assert_non_null(segment_add(&node.index, &has, 0, whole, sizeof whole));
    fd = open(file_of("/sw/x.so"), O_RDONLY);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_null(segment_find(&node.index, &lacks));
    assert_non_null(segment_find(&node.index, &has));
    close(fd);
}

static void a_node_drops_by_itself_for_good(void **state)
{
    struct fi_query q = content_query("/sw/a.py", 0);
    const struct record *r;

    (void)state;
    keep("/sw/a.py", 0, NULL);
    give_back(GIVE_BACK_HERE);
    r = segment_find(&node.index, &q);
    assert_int_equal(r->flags, RECORD_LOCAL | RECORD_UNAVAILABLE);
    assert_int_equal(r->error, ENOBUFS);
    assert_int_equal(access(file_of("/sw/a.py"), F_OK), -1);
}

static void other_nodes_do_the_same(void **state)
{
    struct fi_query used = content_query("/sw/used", 0);
    struct fi_query unused = content_query("/sw/unused", RECORD_MAPPED);
    struct record *r;
    int fd;

    (void)state;
    keep("/sw/used", 0, NULL);
    keep("/sw/unused", RECORD_MAPPED, NULL);
    fd = open(file_of("/sw/used"), O_RDONLY);
    for (int i = 0; i < 2; i++) {
        const struct fi_query *q = i == 0 ? &used : &unused;

        r = segment_allocate(&node.index, q->length, 0); /* as it came */
        r->kind = RECORD_CONTENT;
        r->argument = q->argument;
        r->flags = RECORD_GIVEN_BACK | RECORD_UNAVAILABLE;
        memcpy(r->path, q->path, q->length);
        record_seal(r);
        give_back_received(&node, r);
        segment_abandon(&node.index, r);
    }
    assert_true(is_kept("/sw/used"));
    assert_null(segment_find(&node.index, &unused));
    assert_int_equal(access(file_of("/sw/unused"), F_OK), -1);
    close(fd);
}

static void send_all(struct stream_writer *w, struct stream_reader *r)
{
    static char block[SIZE];
    size_t n;

    while ((n = stream_write(w, block, sizeof block)) > 0) {
        stream_read(r, block, n);
    }
}

static void the_stream_tells_other_nodes(void **state)
{
    static const struct device_map same_devices;
    struct fi_query q = content_query("/sw/a", 0);
    struct node_cache other;
    struct stream_writer w;
    struct stream_reader r;

    (void)state;
    assert_int_equal(node_create(&other, scratch(), 1), 0);
    stream_writer_init(&w, &node);
    stream_reader_init(&r, &other, &same_devices);
    keep("/sw/a", 0, NULL);
    send_all(&w, &r);
    assert_non_null(segment_find(&other.index, &q));
    give_back(GIVE_BACK_EVERYWHERE);
    send_all(&w, &r);
    assert_null(segment_find(&other.index, &q));
    assert_true(segment_was_given_back(&other.index, &q));
    assert_int_equal(other.index.header->content_bytes, 0);
    keep("/sw/a", 0, NULL); /* was asked for again */
    send_all(&w, &r);
    assert_non_null(segment_find(&other.index, &q));
    assert_int_equal(other.index.header->content_bytes, SIZE);
    assert_false(r.broken);
    stream_reader_end(&r);
    stream_writer_end(&w);
    segment_detach(&other.index);
    protected_fd_close(other.lock);
}

static void without_leases_nothing_goes(void **state)
{
    (void)state;
    keep("/sw/a", 0, NULL);
    fault_arm(FAULT_sys_fcntl, -EINVAL, 0, 1);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_true(is_kept("/sw/a"));
    fault_arm(FAULT_sys_fcntl, -EAGAIN, 1, 1);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_true(is_kept("/sw/a"));
    fault_clear();
    node.index.header->full = 1; /* nothing can hide it */
    give_back(GIVE_BACK_EVERYWHERE);
    assert_true(is_kept("/sw/a"));
}

static pid_t child;

static void fork_a_child(void)
{
    child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
}

/* It has inherited the descriptor, and so the lease; who opens the file would wait for it. */
static void a_child_of_this_moment_keeps_no_lease(void **state)
{
    int fd;

    (void)state;
    keep("/sw/a", 0, NULL);
    node.index.header->full = 1; /* it cannot be hidden, and stays */
    fault_meanwhile(FAULT_sys_fcntl, 2, fork_a_child);
    give_back(GIVE_BACK_EVERYWHERE);
    assert_true(child > 0);
    fd = open(file_of("/sw/a"), O_RDONLY | O_NONBLOCK);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(fd >= 0);
    close(fd);
}

/* --- readers at the same time --- */

static _Atomic bool stop;
static _Atomic int whole_reads;

static void *read_all_the_time(void *name)
{
    block_signals();
    while (!atomic_load(&stop)) {
        char read_bytes[SIZE];
        int fd = open(name, O_RDONLY);

        if (fd >= 0) {
            assert_int_equal(sys_pread_all(fd, read_bytes, SIZE, 0), SIZE);
            assert_memory_equal(read_bytes, bytes, SIZE);
            whole_reads++;
            close(fd);
        }
        sys_nap_ns(20000);
    }
    return NULL;
}

static void readers_have_it_whole_or_not_at_all(void **state)
{
    static char name[MIRROR_PATH_MAX];
    pthread_t readers[3];

    (void)state;
    strcpy(name, file_of("/sw/a"));
    atomic_store(&stop, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, name), 0);
    }
    for (int i = 0; i < 20000 && (fi_count->files_given_back < 100 || whole_reads < 10); i++) {
        keep("/sw/a", 0, NULL);
        give_back(GIVE_BACK_HERE);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(readers[i], NULL);
    }
    assert_true(fi_count->files_given_back >= 100);
    assert_true(whole_reads >= 10);
}

#define give_back_test(f) cmocka_unit_test_setup_teardown(f, give_back_setup, give_back_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        give_back_test(what_is_in_use_stays),
        give_back_test(it_is_a_miss_afterwards),
        give_back_test(what_the_plan_expects_stays_until_it_is_used),
        give_back_test(both_questions_share_a_file),
        give_back_test(other_names_keep_a_file),
        give_back_test(libraries_go_with_their_files),
        give_back_test(a_node_drops_by_itself_for_good),
        give_back_test(other_nodes_do_the_same),
        give_back_test(the_stream_tells_other_nodes),
        give_back_test(without_leases_nothing_goes),
        give_back_test(a_child_of_this_moment_keeps_no_lease),
        give_back_test(readers_have_it_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
