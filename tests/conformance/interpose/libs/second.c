/* SPDX-License-Identifier: BSD-3-Clause */
int second_value(void);

int second_value(void)
{
    return 17;
}
