/* SPDX-License-Identifier: BSD-3-Clause */
/* callee.c - for test_imports.c: the library whose functions are redirected. */
int callee_number(void);
int callee_other(void);

int callee_number(void)
{
    return 1;
}

int callee_other(void)
{
    return 2;
}
