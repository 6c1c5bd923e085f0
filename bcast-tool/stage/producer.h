/* SPDX-License-Identifier: BSD-3-Clause */
/* producer.h - the thread at leader 0 that reads the archives, once, and puts their bytes into the
 * channel. */
#ifndef BCAST_STAGE_PRODUCER_H
#define BCAST_STAGE_PRODUCER_H

#include <stdatomic.h>

#include "stage/channel.h"
#include "stage/request.h"

struct producer {
    struct channel *channel;
    const struct request *request;
    const char *const *paths;
    int threads;           /* number of threads that decompress */
    _Atomic uint64_t read; /* bytes of the archives read so far, for the progress bar */
    struct error error;    /* valid when the thread has ended */
};

/* The thread's main function; `arg` is a struct producer. */
void *producer_run(void *arg);

#endif
