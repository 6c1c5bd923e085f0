/* SPDX-License-Identifier: BSD-3-Clause */
/* guard.c - see guard.h */
#include "base/guard.h"

__thread int fi_guard_depth;
