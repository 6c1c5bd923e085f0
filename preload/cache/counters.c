/* SPDX-License-Identifier: BSD-3-Clause */
/* counters.c - see counters.h */
#include "cache/counters.h"

static struct fi_counters before_attach;

struct fi_counters *fi_count = &before_attach;

const char *const call_family_names[CALL_FAMILIES] = {"open", "stat", "access", "path",
                                                      "dir",  "dl",   "write"};

const char *const fallback_names[FALLBACK_REASONS] = {
    "timeout", "unavailable", "stale", "service ended", "index full", "library",
};
