/* SPDX-License-Identifier: BSD-3-Clause */
/* consumer.h - the consumer's end of the channel: one archive after the other as plain tar. */
#ifndef BCAST_STAGE_CONSUMER_H
#define BCAST_STAGE_CONSUMER_H

#include "archive/decoder.h"
#include "stage/channel.h"
#include "stage/request.h"

struct consumer {
    struct channel *channel;
    struct decoder *decoder; /* NULL if the archive arrives decompressed */
    const uint8_t *data;     /* rest of the chunk that is held */
    size_t left;
    bool holding, archive_ended, aborted;
};

void consumer_begin(struct consumer *in, const struct request_archive *a, int threads);

/* A tar_next_block; `context` is the consumer. */
ssize_t consumer_block(void *context, const uint8_t **block, struct error *err);

/* Takes the rest of the archive's chunks. False if the stream was aborted. */
bool consumer_end(struct consumer *in);

/* Takes chunks until the stream ends. */
void consumer_finish(struct consumer *in);

#endif
