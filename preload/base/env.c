/* SPDX-License-Identifier: BSD-3-Clause */
/* env.c - see env.h */
#include "base/env.h"

#include <string.h>

const char *env_value(char *const environment[], const char *name)
{
    size_t n = strlen(name);

    for (char *const *e = environment; e != NULL && *e != NULL; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') {
            return *e + n + 1;
        }
    }
    return NULL;
}
