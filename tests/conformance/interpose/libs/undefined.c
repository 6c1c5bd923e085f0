/* SPDX-License-Identifier: BSD-3-Clause */
int interpose_nobody_defines_this(void);
int undefined_value(void);

int undefined_value(void)
{
    return interpose_nobody_defines_this();
}
