/* The consumer's end of the channel: the bytes of one archive after the other, as plain tar. */
#ifndef BCAST_STAGE_INTAKE_H
#define BCAST_STAGE_INTAKE_H

#include "archive/decoder.h"
#include "stage/channel.h"
#include "stage/job.h"

struct intake {
    struct channel *channel;
    struct decoder *decoder; /* of an archive that travels as stored */
    const uint8_t *data;     /* of the chunk that is held */
    size_t left;
    bool holding, archive_ended, aborted;
};

void intake_begin(struct intake *in, const struct job_archive *a, int threads);

/* A tar_next_block; `context` is the intake. */
ssize_t intake_block(void *context, const uint8_t **block, struct fault *f);

/* Takes what is left of the archive. False if the stream has ended for good. */
bool intake_end(struct intake *in);

/* Takes what comes until the stream ends. */
void intake_finish(struct intake *in);

#endif
