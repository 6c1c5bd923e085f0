/* SPDX-License-Identifier: BSD-3-Clause */
/* clean.h - removes a staged DIR: only what `stage` made, and byte code that Python has added
 * since. */
#ifndef BCAST_STAGE_CLEAN_H
#define BCAST_STAGE_CLEAN_H

#include <stdbool.h>

#include "base/error.h"

/* Removes DIR, and the partial copies of dead jobs. With `all` it also removes files that `stage`
 * did not make; without, it keeps them and their directories, and fails. It fails if DIR was not
 * staged. A DIR that does not exist is no error. */
int clean_destination(const char *dir, bool all, struct error *err);

#endif
