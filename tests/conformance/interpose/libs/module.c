/* SPDX-License-Identifier: BSD-3-Clause */
int leaf_value(void);
int module_value(void);

int module_value(void)
{
    return leaf_value() + 1;
}
