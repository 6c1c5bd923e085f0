/* SPDX-License-Identifier: BSD-3-Clause */
int leaf_value(void);

int leaf_value(void)
{
    return 41;
}
