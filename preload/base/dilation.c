/* SPDX-License-Identifier: BSD-3-Clause */
/* dilation.c - see dilation.h */
#include "base/dilation.h"

#include <time.h>

static double dilation = 1;
static __thread int64_t began, computed; /* the last wait's end: when, and processor time then */

static int64_t dilation_clock(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void dilation_set(double factor)
{
    dilation = factor;
    dilation_after_wait();
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

void dilation_before_wait(void)
{
    int64_t should, took;

    if (dilation <= 1 || began == 0) {
        return;
    }
    should = (int64_t)(dilation * (double)(dilation_clock(CLOCK_THREAD_CPUTIME_ID) - computed));
    took = dilation_clock(CLOCK_MONOTONIC) - began;
    if (should > took) {
        int64_t ns = should - took;
        struct timespec ts = {ns / 1000000000, ns % 1000000000};

        clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
    }
}

void dilation_after_wait(void)
{
    if (dilation > 1) {
        began = dilation_clock(CLOCK_MONOTONIC);
        computed = dilation_clock(CLOCK_THREAD_CPUTIME_ID);
    }
}
