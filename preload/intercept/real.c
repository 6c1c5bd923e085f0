/* SPDX-License-Identifier: BSD-3-Clause */
/* real.c - see real.h */
#include "intercept/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

struct real_functions real_table;
bool real_is_bound;

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
#define X(result, name, parameters) {#name, offsetof(struct real_functions, name)},
#include "intercept/symbols.def"
#undef X
};

static long real_missing(void)
{
    errno = ENOSYS;
    return -1;
}

/* Several threads may bind at the same time: all write the same values, and the flag last. */
void real_bind(void)
{
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(RTLD_NEXT, symbols[i].name);

        if (symbol == NULL) {
            symbol = (void *)real_missing;
        }
        memcpy((char *)&real_table + symbols[i].offset, &symbol, sizeof symbol);
    }
    __atomic_store_n(&real_is_bound, true, __ATOMIC_RELEASE);
}
