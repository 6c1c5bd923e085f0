/* SPDX-License-Identifier: BSD-3-Clause */
/* startup.c - see startup.h */
#include "service/startup.h"

#include "base/sys.h"

/* The start of the program is over when nothing new was asked for so long. */
static const int64_t quiet_ns = 2000000000;

void startup_begin(struct startup *startup)
{
    startup->began = startup->last_new = sys_now_ns();
}

void startup_note(struct startup *startup, uint64_t size)
{
    int64_t now = sys_now_ns();

    if (startup->is_over) {
        return;
    }
    if (size != startup->size) {
        startup->size = size;
        startup->last_new = now;
    }
    startup->is_over = now - startup->last_new > quiet_ns;
}

int64_t startup_ns(const struct startup *startup)
{
    return startup->last_new - startup->began;
}
