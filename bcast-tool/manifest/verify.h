/* Compares a staged tree with its manifest. */
#ifndef BCAST_MANIFEST_VERIFY_H
#define BCAST_MANIFEST_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct verify {
    bool contents; /* read every file and compare checksums; otherwise types, sizes, times, modes */
    void (*report)(void *context, const struct error *err); /* each difference; may be NULL */
    void *context;
    uint64_t files, bytes, wrong; /* out */
};

/* `top` is the staged directory. 0 if all is as listed; -1 with the first difference in `err`. */
int verify_tree(int top, struct verify *v, struct error *err);

#endif
