/* SPDX-License-Identifier: BSD-3-Clause */
/* version.c - see version.h. The makefile defines FI_VERSION. */
#include "base/version.h"

#ifndef FI_VERSION /* a fuzzer, say, which nobody installs */
#define FI_VERSION "unknown"
#endif

static const char version_text[] = VERSION_MARK FI_VERSION;

const char *version_number(void)
{
    return version_text + sizeof VERSION_MARK - 1;
}
