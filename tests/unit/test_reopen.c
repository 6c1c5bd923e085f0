/* SPDX-License-Identifier: BSD-3-Clause */
/* reopen: descriptors of mirror files become the original's, at the same offset, while others read.
 */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/protected_fd.h"
#include "cache/mirror.h"
#include "faults.h"
#include "invalidate/reopen.h"

enum { WORDS = 4096, ROUNDS = 300 };

static struct node_cache node;
static uint32_t content[WORDS];
static struct stat original;
static char path[FI_PATH_MAX];
static char mirror[FI_PATH_MAX + 512];

static int reopen_setup(void **state)
{
    struct mirror_writer w;

    if (scratch_setup(state) != 0 || node_create(&node, scratch(), 1) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < WORDS; i++) {
        content[i] = i;
    }
    scratch_write("original", content, sizeof content, 0644);
    strcpy(path, scratch_path("original"));
    return stat(path, &original) != 0 || mirror_begin(&w, &node, sizeof content) != 0 ||
           mirror_append(&w, content, sizeof content) != 0 ||
           mirror_finish(&w, &node, path, &original) != 0 ||
           !mirror_path(&node, path, mirror, sizeof mirror);
}

static int reopen_teardown(void **state)
{
    segment_detach(&node.index);
    protected_fd_close(node.lock);
    return scratch_teardown(state);
}

static bool is_original(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_ino == original.st_ino && st.st_dev == original.st_dev;
}

static void becomes_the_original_at_the_same_offset(void **state)
{
    int fd = open(mirror, O_RDONLY);
    uint32_t word;

    (void)state;
    assert_int_equal(lseek(fd, 40, SEEK_SET), 40);
    assert_false(is_original(fd));
    reopen_on_original(&node, &original, path);
    assert_true(is_original(fd));
    assert_int_equal(read(fd, &word, sizeof word), sizeof word);
    assert_int_equal(word, 10);
    close(fd);
}

static void shared(int flags)
{
    int fd = open(mirror, O_RDONLY | flags);
    int twin = dup(fd);
    int other = open(mirror, O_RDONLY);

    reopen_on_original(&node, &original, path);
    assert_true(is_original(fd) && is_original(twin) && is_original(other));
    assert_int_equal(lseek(fd, 12, SEEK_CUR), 12);
    assert_int_equal(lseek(twin, 0, SEEK_CUR), 12);
    assert_int_equal(lseek(other, 0, SEEK_CUR), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, flags);
    close(fd);
    close(twin);
    close(other);
}

static void what_is_shared_stays_shared(void **state)
{
    (void)state;
    shared(0);
    shared(O_NONBLOCK);
}

static void what_is_shared_stays_shared_without_kcmp(void **state)
{
    (void)state;
    fault_arm(FAULT_sys_compare_files, -EPERM, 0, ALWAYS);
    shared(0);
    shared(O_NONBLOCK);
    fault_clear();
}

/* Two numbers of one open file, of which one is read from beginning to end. */
static _Atomic int reading = -1;
static _Atomic int wrong;

static void *reader(void *unused)
{
    for (int round = 0; round < ROUNDS; round++) {
        int fd;

        while ((fd = reading) < 0) {
        }
        for (uint32_t i = 0, word; i < WORDS; i++) {
            if (read(fd, &word, sizeof word) != sizeof word || word != i) {
                wrong++;
                break;
            }
        }
        reading = -1;
    }
    return unused;
}

/* On a busy machine the kernel may stop the reader for so long that it seems to rest, and then the
 * word that it reads first comes twice: reopen.h says so. Without looking for a rest that happens in
 * almost every round. */
static void a_thread_that_reads_meanwhile_reads_what_is_there(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, reader, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        int fd = open(mirror, O_RDONLY);
        int twin = dup(fd);

        reading = fd;
        usleep(100 + (unsigned)round % 300);
        reopen_on_original(&node, &original, path);
        assert_true(is_original(fd) && is_original(twin));
        while (reading >= 0) {
            usleep(100);
        }
        close(fd);
        close(twin);
    }
    pthread_join(thread, NULL);
    assert_in_range(wrong, 0, ROUNDS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(becomes_the_original_at_the_same_offset, reopen_setup,
                                        reopen_teardown),
        cmocka_unit_test_setup_teardown(what_is_shared_stays_shared, reopen_setup, reopen_teardown),
        cmocka_unit_test_setup_teardown(what_is_shared_stays_shared_without_kcmp, reopen_setup,
                                        reopen_teardown),
        cmocka_unit_test_setup_teardown(a_thread_that_reads_meanwhile_reads_what_is_there,
                                        reopen_setup, reopen_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
