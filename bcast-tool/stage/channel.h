/* A stream of chunks from one producer at leader 0 to one consumer at every leader, by MPI_Ibcast.
 *
 * Threads: the producer (leader 0 only) and the consumer run in threads of their own and never call
 * MPI; the thread that may call MPI is in channel_pump meanwhile. A fixed number of chunks of a
 * fixed size is in flight, so that every leader can post its part of a broadcast before it knows
 * what comes. A consumer that has failed goes on taking chunks: the others must not wait for it.
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
    CHUNK_ARCHIVE_END, /* the next archive follows */
    CHUNK_END,         /* nothing follows */
    CHUNK_ABORT,       /* nothing follows; the data is the reason, NUL-terminated */
    CHUNK_PAD          /* never seen by consumers */
};

struct channel; /* opaque */

/* Collective. `allowed` nodes may fail before leader 0 stops the stream. */
struct channel *channel_new(const struct nodes *n, int allowed);
void channel_free(struct channel *c);

/* Producer: room for the next chunk, `*room` bytes. Waits. NULL once the stream should be stopped;
 * then publish CHUNK_ABORT, with channel_abort. */
uint8_t *channel_claim(struct channel *c, size_t *room);
void channel_publish(struct channel *c, enum chunk_kind kind, size_t used);
void channel_abort(struct channel *c, const char *reason);

/* Consumer: the next chunk's kind and data, valid until channel_release. Waits. */
enum chunk_kind channel_take(struct channel *c, const uint8_t **data, size_t *n);
void channel_release(struct channel *c);

/* Any thread: this node has failed; leader 0 will hear of it. */
void channel_fail(struct channel *c);

/* Leader 0, any thread: stop soon. */
void channel_stop(struct channel *c);

/* MPI thread: moves chunks until the stream has ended here. Calls `tick` now and then. */
void channel_pump(struct channel *c, void (*tick)(void *), void *context);

/* MPI thread, after channel_pump: notes of failure that this leader sent. Leader 0 must take all of
 * them, `sent` in sum, before MPI ends. */
uint64_t channel_notes_sent(const struct channel *c);
void channel_take_notes(struct channel *c, uint64_t sent);

#endif
