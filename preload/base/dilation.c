/* SPDX-License-Identifier: BSD-3-Clause */
/* dilation.c - see dilation.h */
#include "base/dilation.h"

static double dilation = 1;

void dilation_set(double factor)
{
    dilation = factor;
}

int64_t dilation_real(int64_t ours)
{
    if (dilation <= 1 || (double)ours >= (double)INT64_MAX / dilation) {
        return ours;
    }
    return (int64_t)((double)ours * dilation);
}

int64_t dilation_ours(int64_t real)
{
    return dilation > 1 ? (int64_t)((double)real / dilation) : real;
}
