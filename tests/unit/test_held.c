/* SPDX-License-Identifier: BSD-3-Clause */
/* base/held: descriptors that are known again, moved, forgotten. */
#include "scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/held.h"
#include "base/sys.h"

static void what_has_its_number_is_not_it(void **state)
{
    int fd = sys_memory_file("one");
    int other = sys_memory_file("other");
    int entry = held_add(fd, HELD_OURS);

    (void)state;
    assert_int_equal(held_fd(entry), fd);
    assert_int_equal(held_find(fd), entry);
    assert_true(held_maybe(fd));
    assert_int_equal(dup2(other, fd), fd);
    assert_int_equal(held_fd(entry), -1);
    assert_int_equal(held_find(fd), -1); /* and is forgotten */
    assert_false(held_maybe(fd));
    held_close(entry);
    assert_int_equal(fcntl(fd, F_GETFD), 0); /* the program's */
    close(fd);
    close(other);
}

static void moves_out_of_the_way(void **state)
{
    int fd = sys_memory_file("one");
    int entry = held_add(fd, HELD_PMI);
    int now;

    (void)state;
    held_move(entry);
    now = held_fd(entry);
    assert_true(now >= 0 && now != fd);
    assert_int_equal(held_find(fd), -1);
    assert_int_equal(held_find(now), entry);
    close(fd);
    assert_int_equal(held_fd(entry), now);
    assert_true(held_pretend_closed(entry));
    assert_false(held_pretend_closed(entry));
    held_close(entry);
    assert_int_equal(fcntl(now, F_GETFD), -1);
}

static void finds_the_next_one(void **state)
{
    static const int numbers[] = {70, 71, 128, 1000, HELD_NUMBERS - 1};
    int from = sys_memory_file("one");

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (dup2(from, numbers[i]) == numbers[i]) {
            held_add(numbers[i], HELD_MPI);
        }
    }
    assert_int_equal(held_next(0), 70);
    assert_int_equal(held_next(70), 70);
    assert_int_equal(held_next(71), 71);
    assert_int_equal(held_next(72), 128);
    assert_int_equal(held_next(129), 1000);
    assert_int_equal(held_next(HELD_NUMBERS), -1);
    held_drop_all(HELD_MPI);
    assert_int_equal(held_next(0), -1);
    closefrom(70);
    close(from);
}

static int of_a_child(void *fd)
{
    return held_find(*(int *)fd) == -1 ? 0 : 1;
}

static void a_child_holds_nothing(void **state)
{
    int fd = sys_memory_file("one");
    int entry = held_add(fd, HELD_OURS);

    (void)state;
    assert_int_equal(in_child(of_a_child, &fd), 0);
    assert_int_equal(held_find(fd), entry);
    held_close(entry);
    assert_int_equal(held_add(-1, HELD_OURS), -1);
    assert_int_equal(held_add(fd, HELD_OURS), -1);
    assert_int_equal(held_fd(-1), -1);
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
