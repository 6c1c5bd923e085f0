/* SPDX-License-Identifier: BSD-3-Clause */
/* caller.c - for test_imports.c: calls callee.c's functions directly, by a pointer in its data, and
 * by a weak name that nobody defines. Built with lazy and with immediate binding. */
int callee_number(void);
int callee_other(void);
int callee_missing(void) __attribute__((weak));

int caller_direct(void);
int caller_by_pointer(void);
int caller_other(void);
int caller_has_missing(void);

int (*volatile caller_pointer)(void) = callee_number;

int caller_direct(void)
{
    return callee_number();
}

int caller_by_pointer(void)
{
    return caller_pointer();
}

int caller_other(void)
{
    return callee_other();
}

int caller_has_missing(void)
{
    return callee_missing != 0;
}
