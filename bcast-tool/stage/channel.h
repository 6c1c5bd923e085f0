/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - a stream of chunks from one producer, at leader 0, to one consumer at every leader,
 * by MPI_Ibcast.
 *
 * The producer (leader 0 only) and the consumer run in threads of their own and never call MPI.
 * Meanwhile the thread that may call MPI is inside channel_pump(). A fixed number of chunks of a
 * fixed size is in flight, so that every leader can post its part of a broadcast before it knows
 * what will come. A consumer that has failed must go on taking chunks, or else all others would
 * wait for it.
 */
#ifndef BCAST_STAGE_CHANNEL_H
#define BCAST_STAGE_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "nodes/nodes.h"

enum {
    CHANNEL_CHUNK = 1 << 20, /* bytes, with the header */
    CHANNEL_WINDOW = 8       /* chunks in flight */
};

enum chunk_kind {
    CHUNK_DATA,
    CHUNK_ARCHIVE_END, /* the archive has ended; the next one follows */
    CHUNK_END,         /* the stream has ended */
    CHUNK_ABORT,       /* the stream has ended early; the data is the reason, with a NUL */
    CHUNK_PAD          /* consumers never get it */
};

struct channel; /* opaque */

/* Collective. Leader 0 stops the stream when more than `allowed` nodes have failed. */
struct channel *channel_new(const struct nodes *n, int allowed);
void channel_free(struct channel *c);

/* Producer: waits for room for the next chunk, `*room` bytes. NULL means that the stream must stop:
 * then call channel_abort(). */
uint8_t *channel_claim(struct channel *c, size_t *room);
void channel_publish(struct channel *c, enum chunk_kind kind, size_t used);
void channel_abort(struct channel *c, const char *reason);

/* Consumer: waits for the next chunk. Its data is valid until channel_release(). */
enum chunk_kind channel_take(struct channel *c, const uint8_t **data, size_t *n);
void channel_release(struct channel *c);

/* Any thread: this node has failed. Leader 0 will learn of it. */
void channel_fail(struct channel *c);

/* Leader 0, any thread: makes channel_claim() return NULL. */
void channel_stop(struct channel *c);

/* MPI thread: moves chunks until the stream has ended at this leader. Calls `tick` now and then. */
void channel_pump(struct channel *c, void (*tick)(void *), void *context);

/* MPI thread, after channel_pump(): how many notes of failure this leader has sent. Leader 0 must
 * receive the notes of all leaders, `sent` altogether, before MPI ends. */
uint64_t channel_notes_sent(const struct channel *c);
void channel_take_notes(struct channel *c, uint64_t sent);

#endif
