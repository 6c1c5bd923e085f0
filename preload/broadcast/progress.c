/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.c - see progress.h */
#include "broadcast/progress.h"

#include <string.h>

size_t progress_write(struct progress *p, const struct segment *s, char *out, size_t room)
{
    size_t size = 0;

    for (uint16_t i = 0; i < SEGMENT_CLAIMS && size + sizeof i <= room; i++) {
        uint32_t mark = segment_claim_mark(s, i);

        if (mark != p->marks[i]) {
            p->marks[i] = mark;
            memcpy(out + size, &i, sizeof i);
            size += sizeof i;
        }
    }
    return size;
}

void progress_read(struct segment *s, const char *in, size_t size)
{
    uint16_t number;

    for (size_t at = 0; at + sizeof number <= size; at += sizeof number) {
        memcpy(&number, in + at, sizeof number);
        if (number < SEGMENT_CLAIMS) {
            segment_move_claim(s, number);
        }
    }
}
