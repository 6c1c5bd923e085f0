/* Leader 0's producer: reads the archives once and puts them into the channel. Its own thread. */
#ifndef BCAST_STAGE_FEED_H
#define BCAST_STAGE_FEED_H

#include <stdatomic.h>

#include "stage/channel.h"
#include "stage/job.h"

struct feed {
    struct channel *channel;
    const struct job *job;
    const char *const *paths;
    int threads;           /* for decompression */
    _Atomic uint64_t read; /* bytes of the archives, for progress */
    struct fault fault;    /* for the caller, after the thread has ended */
};

/* A thread's main function; `arg` is a struct feed. */
void *feed_run(void *arg);

#endif
