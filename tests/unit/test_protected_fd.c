/* SPDX-License-Identifier: BSD-3-Clause */
/* base/protected_fd: descriptors that are known again, moved, forgotten. */
#include "scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/protected_fd.h"
#include "base/sys.h"

static void what_has_its_number_is_not_it(void **state)
{
    int fd = sys_memory_file("one");
    int other = sys_memory_file("other");
    int entry = protected_fd_add(fd, PROTECTED_OURS);

    (void)state;
    assert_int_equal(protected_fd_get(entry), fd);
    assert_int_equal(protected_fd_find(fd), entry);
    assert_true(protected_fd_maybe(fd));
    assert_int_equal(dup2(other, fd), fd);
    assert_int_equal(protected_fd_get(entry), -1);
    assert_int_equal(protected_fd_find(fd), -1); /* and is forgotten */
    assert_false(protected_fd_maybe(fd));
    protected_fd_close(entry);
    assert_int_equal(fcntl(fd, F_GETFD), 0); /* the program's */
    close(fd);
    close(other);
}

static void moves_out_of_the_way(void **state)
{
    int fd = sys_memory_file("one");
    int entry = protected_fd_add(fd, PROTECTED_PMI);
    int now;

    (void)state;
    protected_fd_move(entry);
    now = protected_fd_get(entry);
    assert_true(now >= 0 && now != fd);
    assert_int_equal(protected_fd_find(fd), -1);
    assert_int_equal(protected_fd_find(now), entry);
    close(fd);
    assert_int_equal(protected_fd_get(entry), now);
    assert_true(protected_fd_pretend_closed(entry));
    assert_false(protected_fd_pretend_closed(entry));
    protected_fd_close(entry);
    assert_int_equal(fcntl(now, F_GETFD), -1);
}

static void finds_the_next_one(void **state)
{
    static const int numbers[] = {70, 71, 128, 1000, PROTECTED_FD_LIMIT - 1};
    int from = sys_memory_file("one");

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (dup2(from, numbers[i]) == numbers[i]) {
            protected_fd_add(numbers[i], PROTECTED_MPI);
        }
    }
    assert_int_equal(protected_fd_next(0), 70);
    assert_int_equal(protected_fd_next(70), 70);
    assert_int_equal(protected_fd_next(71), 71);
    assert_int_equal(protected_fd_next(72), 128);
    assert_int_equal(protected_fd_next(129), 1000);
    assert_int_equal(protected_fd_next(PROTECTED_FD_LIMIT), -1);
    protected_fd_forget_all(PROTECTED_MPI);
    assert_int_equal(protected_fd_next(0), -1);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        close(numbers[i]);
    }
    close(from);
}

static int of_a_child(void *fd)
{
    return protected_fd_find(*(int *)fd) == -1 ? 0 : 1;
}

static void a_child_holds_nothing(void **state)
{
    int fd = sys_memory_file("one");
    int entry = protected_fd_add(fd, PROTECTED_OURS);

    (void)state;
    assert_int_equal(in_child(of_a_child, &fd), 0);
    assert_int_equal(protected_fd_find(fd), entry);
    protected_fd_close(entry);
    assert_int_equal(protected_fd_add(-1, PROTECTED_OURS), -1);
    assert_int_equal(protected_fd_add(fd, PROTECTED_OURS), -1);
    assert_int_equal(protected_fd_get(-1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_its_number_is_not_it),
        cmocka_unit_test(moves_out_of_the_way),
        cmocka_unit_test(finds_the_next_one),
        cmocka_unit_test(a_child_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
