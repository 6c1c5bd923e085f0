/* The consumer's end of the channel: the bytes of one archive after the other, as plain tar. */
#ifndef BCAST_STAGE_CONSUMER_H
#define BCAST_STAGE_CONSUMER_H

#include "archive/decoder.h"
#include "stage/channel.h"
#include "stage/request.h"

struct consumer {
    struct channel *channel;
    struct decoder *decoder; /* of an archive that travels as stored */
    const uint8_t *data;     /* of the chunk that is held */
    size_t left;
    bool holding, archive_ended, aborted;
};

void consumer_begin(struct consumer *in, const struct request_archive *a, int threads);

/* A tar_next_block; `context` is the intake. */
ssize_t consumer_block(void *context, const uint8_t **block, struct error *err);

/* Takes what is left of the archive. False if the stream has ended for good. */
bool consumer_end(struct consumer *in);

/* Takes what comes until the stream ends. */
void consumer_finish(struct consumer *in);

#endif
