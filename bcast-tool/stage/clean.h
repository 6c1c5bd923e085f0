/* Removes a staged DIR: only what `stage` made, and byte code that Python has added since. */
#ifndef BCAST_STAGE_CLEAN_H
#define BCAST_STAGE_CLEAN_H

#include <stdbool.h>

#include "base/error.h"

/* Also removes partial copies of dead jobs. With `all`, whatever else is in DIR goes too. Fails if
 * DIR was not staged, or if files remain that `stage` did not make: they and their directories are
 * kept. A DIR that is not there is fine. */
int clean_destination(const char *dir, bool all, struct error *err);

#endif
