/* What leader 0 tells the others before the stream begins. Plain bytes, so that it can be
 * broadcast. */
#ifndef BCAST_STAGE_REQUEST_H
#define BCAST_STAGE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/frame.h"
#include "archive/tarread.h"
#include "stage/destination.h"

enum { REQUEST_ARCHIVES = 16 };

struct request_archive {
    uint64_t size;         /* of the archive file */
    uint64_t files, bytes; /* what it will take: from its manifest, or a lower bound */
    enum framing framing;
    bool listed;  /* has a manifest */
    bool stored;  /* travels as it is stored, and every node decompresses it */
    char how[16]; /* unpack_layer's `framing` */
};

struct request {
    int n;
    struct request_archive archive[REQUEST_ARCHIVES];
    struct destination_label label;
    struct tar_policy policy;
    char partial[PARTIAL_NAME]; /* leader 0's; its number is the job's token */
};

/* Opens each archive, reads its head. Leader 0 only. */
int request_describe(struct request *j, const char *const *paths, int n, struct error *err);

#endif
