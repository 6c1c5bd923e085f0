/* SPDX-License-Identifier: BSD-3-Clause */
#include "relocate/classify.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/io.h"
#include "relocate/rewrite.h"

enum {
    CLASSIFY_BLOCK = 1 << 20, /* bytes that are read at once */
    OVERLAP = 4096            /* bytes kept of the block before: a prefix and one byte fit */
};

/* [0, kept) is the end of the block before, [kept, n) is new. */
static void classify_look(struct classify *c, const char *data, size_t n, bool last)
{
    for (int i = 0; i < c->n; i++) {
        if (!(c->hits >> i & 1) && rewrite_contains(data, n, c->prefixes[i], last)) {
            c->hits |= 1u << i;
        }
    }
}

int classify_file(struct classify *c, int fd)
{
    char *room = io_alloc(OVERLAP + CLASSIFY_BLOCK);
    XXH3_state_t *sum = XXH3_createState();
    bool nul = false, elf = false;
    size_t kept = 0;
    ssize_t n;
    XXH3_64bits_reset(sum);
    c->hits = 0;
    c->size = 0;
    while ((n = io_pread(fd, room + kept, CLASSIFY_BLOCK, (off_t)c->size)) > 0) {
        size_t all = kept + (size_t)n;
        if (c->size == 0) {
            elf = n > 4 && memcmp(room, "\177ELF", 4) == 0;
        }
        nul = nul || memchr(room + kept, '\0', (size_t)n) != NULL;
        XXH3_64bits_update(sum, room + kept, (size_t)n);
        classify_look(c, room, all, false);
        c->size += (uint64_t)n;
        kept = all < OVERLAP ? all : OVERLAP;
        memmove(room, room + all - kept, kept);
    }
    classify_look(c, room, kept, true);
    c->sum = XXH3_64bits_digest(sum);
    c->mode = nul ? '-' : 't';
    if (elf) {
        c->mode = 'b';
    }
    XXH3_freeState(sum);
    free(room);
    return n < 0 ? -1 : 0;
}
