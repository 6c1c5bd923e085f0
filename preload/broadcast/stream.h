/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - the stream of records from the root's node cache to those of the other nodes, as
 * bytes.
 *
 * The writer walks the root's segment and turns each record that is not local into its bytes, a
 * file's record followed by the file's bytes from the mirror. It waits for a record that is not
 * whole, a second at most: its maker may have been killed. The reader takes the bytes in pieces
 * of any size, puts records into its own segment and files into its own mirror. Format:
 * cache/FORMAT.md, "The stream".
 *
 * Thread rules: each is used by one service thread only.
 */
#ifndef FASTIMPORT_BROADCAST_STREAM_H
#define FASTIMPORT_BROADCAST_STREAM_H

#include "cache/mirror.h"

struct stream_writer {
    struct node_cache *node;
    uint64_t position;     /* in the arena */
    uint64_t waiting_to;   /* what lies before this and is not whole ... */
    int64_t waiting_since; /* ... has not been since then at least */
    const char *pending;   /* bytes of the current record */
    size_t pending_size;
    int file; /* of the current record, -1: none */
    uint64_t file_size;
    uint64_t file_sent;
    bool broken; /* a file could not be read back: what follows would be wrong, so the service must
                    end */
    struct record *instead; /* what is said of a file whose copy cannot be read back */
};

void stream_writer_init(struct stream_writer *writer, struct node_cache *node);
void stream_writer_end(struct stream_writer *writer);

/* Fills up to `room` bytes; 0: nothing to send now. */
size_t stream_write(struct stream_writer *writer, char *bytes, size_t room);

/* Has all been sent that is in the segment now? */
bool stream_is_drained(const struct stream_writer *writer);

struct stream_reader {
    struct node_cache *node; /* NULL: this node has no cache; the stream is swallowed */
    char *buffer;            /* a record that has not come whole yet */
    size_t have;
    size_t room;
    uint64_t file_left; /* bytes of the current file that are still to come */
    struct mirror_writer file;
    int file_error;
    bool broken; /* a record made no sense: all that follows is ignored */
};

void stream_reader_init(struct stream_reader *reader, struct node_cache *node);
void stream_read(struct stream_reader *reader, const char *bytes, size_t size);
void stream_reader_end(struct stream_reader *reader);

#endif
