/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - the stream of records, as bytes, from the root's node cache to those of the other
 * nodes.
 *
 * The writer walks the root's segment and turns each record that is not local into its bytes;
 * behind a file's record follow the file's bytes, read from the mirror. Where a record is not whole
 * it waits a second at most, because the process that writes it may have been killed. The reader
 * takes the bytes in pieces of any size, and puts records into its own segment and files into its
 * own mirror. Format: cache/FORMAT.md, "The stream".
 *
 * Calling order: init, any number of reads or writes, end. Thread rules: a service thread, one for
 * each writer or reader.
 */
#ifndef FASTIMPORT_BROADCAST_STREAM_H
#define FASTIMPORT_BROADCAST_STREAM_H

#include "cache/mirror.h"
#include "policy/mount_check.h"

struct stream_writer {
    struct node_cache *node;
    uint64_t position;     /* in the arena */
    uint64_t waiting_to;   /* records before this position that are not whole ... */
    int64_t waiting_since; /* ... have not been since this time, at least */
    const char *pending;   /* bytes of the current record that are still to be written */
    size_t pending_size;
    int file;             /* descriptor of the current record's file; -1: none */
    struct extents parts; /* which bytes of the file are sent; in the record */
    uint64_t file_size;
    uint64_t file_sent;
    /* a file could not be read: what follows in the stream would be wrong, so the service must
     * end */
    bool broken;
    struct record *replacement; /* owned: what is sent for a record whose file cannot be read */
};

void stream_writer_init(struct stream_writer *writer, struct node_cache *node);
void stream_writer_end(struct stream_writer *writer);

/* Writes the next part of the stream, `capacity` bytes at most. Returns its size; 0: nothing to
 * send now. */
size_t stream_write(struct stream_writer *writer, char *bytes, size_t capacity);

/* Has everything been written that is in the segment now? */
bool stream_is_drained(const struct stream_writer *writer);

struct stream_reader {
    struct node_cache *node; /* NULL: this node has no cache, and the stream is ignored */
    const struct device_map *devices;
    char *buffer; /* owned: a record of which not all bytes have come yet */
    size_t have;
    size_t capacity;
    uint64_t file_left; /* bytes of the current file that are still to come */
    struct mirror_writer file;
    int file_error;     /* 0, or -errno: the file cannot be stored, its bytes are ignored */
    uint32_t announced; /* RECORD_LIVEs that have come */
    bool broken;        /* a record was malformed: all that follows is ignored */
};

/* devices: see cache/devices.h; borrowed. */
void stream_reader_init(struct stream_reader *reader, struct node_cache *node,
                        const struct device_map *devices);
void stream_read(struct stream_reader *reader, const char *bytes, size_t size);
void stream_reader_end(struct stream_reader *reader);

#endif
