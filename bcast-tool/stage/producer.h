/* Leader 0's producer: reads the archives once and puts them into the channel. Its own thread. */
#ifndef BCAST_STAGE_PRODUCER_H
#define BCAST_STAGE_PRODUCER_H

#include <stdatomic.h>

#include "stage/channel.h"
#include "stage/request.h"

struct producer {
    struct channel *channel;
    const struct request *request;
    const char *const *paths;
    int threads;           /* for decompression */
    _Atomic uint64_t read; /* bytes of the archives, for progress */
    struct error error;    /* for the caller, after the thread has ended */
};

/* A thread's main function; `arg` is a struct producer. */
void *producer_run(void *arg);

#endif
