/* SPDX-License-Identifier: BSD-3-Clause */
/* request.h - what leader 0 tells the other leaders before the stream begins. It is plain bytes, so
 * that MPI can broadcast it. */
#ifndef BCAST_STAGE_REQUEST_H
#define BCAST_STAGE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/frame.h"
#include "archive/tarread.h"
#include "stage/destination.h"

enum { REQUEST_ARCHIVES = 16 };

struct request_archive {
    uint64_t size;  /* size of the archive file */
    uint64_t files; /* inodes that it will take: from its manifest, or a lower bound */
    uint64_t bytes; /* the same: bytes */
    enum framing framing;
    bool listed;      /* the archive has a manifest */
    bool environment; /* by its manifest it is one: its files name DIR */
    bool stored;      /* the chunks hold the file as it is stored; every node decompresses it */
    char how[16];     /* the parameter `framing` of unpack_layer() */
};

struct request {
    int n;
    struct request_archive archive[REQUEST_ARCHIVES];
    struct destination_label label;
    struct tar_policy policy;
    char partial
        [PARTIAL_NAME]; /* name of leader 0's partial copy; its random part is the job's token */
};

/* Opens each archive and reads its head. Leader 0 only. */
int request_describe(struct request *j, const char *const *paths, int n, struct error *err);

#endif
