/* SPDX-License-Identifier: BSD-3-Clause */
/* verify.h - compares a staged tree with its manifest. */
#ifndef BCAST_MANIFEST_VERIFY_H
#define BCAST_MANIFEST_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct verify {
    /* Also read every file and compare checksums; else only types, sizes, times and modes. */
    bool contents;
    /* Called for each difference; NULL: stop at the first. */
    void (*report)(void *context, const struct error *err);
    void *context;
    uint64_t files, bytes, wrong; /* results */
};

/* `top` is the staged directory. Returns 0 if all is as the manifest says; -1 with the first
 * difference in `err`. */
int verify_tree(int top, struct verify *v, struct error *err);

#endif
