/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.c - see stream.h */
#include "broadcast/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/changes.h"
#include "cache/devices.h"
#include "cache/give_back.h"
#include "cache/query.h"

enum { LARGEST_RECORD = 256 << 20 };

/* How long the writer waits for a record that is not whole. Between its allocation and its
 * publication there is only copying in memory. So only a process that was killed, stopped or not
 * scheduled takes so long, and ranks that wait for an answer following that record wait
 * FASTIMPORT_WAIT_MS at most. */
static const int64_t unfinished_limit_ns = 1000000000;

/* How many bytes of a file follow this record; 0: none. */
static uint64_t bytes_following(const struct record *r)
{
    const struct record_content *c = record_payload(r);

    if (r->kind != RECORD_CONTENT || r->error != 0 || (r->flags & RECORD_UNAVAILABLE) != 0 ||
        c->same_as) {
        return 0;
    }
    return c->size;
}

/* --- writer --- */

void stream_writer_init(struct stream_writer *w, struct node_cache *node)
{
    *w = (struct stream_writer){
        .node = node, .position = segment_arena_start(&node->index), .file = -1};
}

void stream_writer_end(struct stream_writer *w)
{
    if (w->file >= 0) {
        sys_close(w->file);
    }
    free(w->replacement);
}

static bool stream_open_file(struct stream_writer *w, const struct record *r, uint64_t size)
{
    char name[MIRROR_PATH_MAX];

    if (!mirror_copy_path(w->node, r->path, extents_version_of(r), name, sizeof name)) {
        return false;
    }
    w->parts = extents_of(r);
    w->file = sys_open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    w->file_size = size;
    w->file_sent = 0;
    return w->file >= 0;
}

static void stream_close_file(struct stream_writer *w)
{
    if (w->file >= 0) {
        sys_close(w->file);
        w->file = -1;
    }
}

/* A copy of the record that says RECORD_UNAVAILABLE, so that nobody waits for the file. NULL: no
 * memory. */
static const struct record *stream_unavailable(struct stream_writer *w, const struct record *r)
{
    struct record *copy = realloc(w->replacement, r->size);

    fi_log(LOG_ERROR,
           "the copy of %s in the node cache cannot be read: other nodes read the original",
           r->path);
    if (copy != NULL) {
        memcpy(copy, r, r->size);
        copy->flags |= RECORD_UNAVAILABLE;
        record_seal(copy);
        w->replacement = copy;
    }
    return copy;
}

/* The walk has stopped. If it has stopped for too long at a record that is not whole, abandons that
 * record: true, the walk can go on. The limit counts once for several such records in a row. */
static bool give_up_unfinished(struct stream_writer *w)
{
    struct segment *s = &w->node->index;
    struct record *r = segment_unfinished(s, w->position);

    if (r != NULL && w->position >= w->waiting_to) {
        w->waiting_to = atomic_load(&s->header->tail);
        w->waiting_since = sys_now_ns();
    }
    if (r == NULL || sys_now_ns() - w->waiting_since < unfinished_limit_ns) {
        return false;
    }
    segment_abandon(s, r);
    return true;
}

static const struct record *next_whole(struct stream_writer *w)
{
    const struct record *r;

    do {
        r = segment_walk(&w->node->index, &w->position);
    } while (r == NULL && give_up_unfinished(w));
    return r;
}

/* Finds the next record that other nodes should have. Its file is opened before the record is sent,
 * so that what the record promises can follow. */
static bool next_record(struct stream_writer *w)
{
    const struct record *r;

    stream_close_file(w);
    while ((r = next_whole(w)) != NULL) {
        uint64_t following = bytes_following(r);

        if ((r->flags & RECORD_LOCAL) != 0) {
            continue;
        }
        if (following > 0 && !stream_open_file(w, r, following)) {
            r = stream_unavailable(w, r);
        }
        if (r != NULL) {
            w->pending = (const char *)r;
            w->pending_size = r->size;
            return true;
        }
    }
    return false;
}

/* Writes bytes of the current file. The receivers expect all of them behind the record: if they
 * cannot be read, the stream ends. */
static size_t file_bytes(struct stream_writer *w, char *bytes, size_t capacity)
{
    uint64_t left = w->file_size - w->file_sent;
    uint64_t run;
    uint64_t offset = extents_locate(&w->parts, w->file_sent, &run);
    size_t n = left < capacity ? (size_t)left : capacity;

    n = run < n ? (size_t)run : n;
    if (n == 0 || sys_pread_all(w->file, bytes, n, (off_t)offset) != (ssize_t)n) {
        w->broken = true;
        return 0;
    }
    w->file_sent += n;
    return n;
}

static size_t record_bytes(struct stream_writer *w, char *bytes, size_t capacity)
{
    size_t n = w->pending_size < capacity ? w->pending_size : capacity;

    memcpy(bytes, w->pending, n);
    w->pending += n;
    w->pending_size -= n;
    return n;
}

size_t stream_write(struct stream_writer *w, char *bytes, size_t capacity)
{
    size_t done = 0;

    while (done < capacity && !w->broken) {
        if (w->pending_size > 0) {
            done += record_bytes(w, bytes + done, capacity - done);
        } else if (w->file >= 0 && w->file_sent < w->file_size) {
            done += file_bytes(w, bytes + done, capacity - done);
        } else if (!next_record(w)) {
            break;
        }
    }
    return done;
}

bool stream_is_drained(const struct stream_writer *w)
{
    return w->pending_size == 0 && (w->file < 0 || w->file_sent == w->file_size) &&
           w->position >= atomic_load(&w->node->index.header->tail);
}

/* --- reader --- */

void stream_reader_init(struct stream_reader *reader, struct node_cache *node,
                        const struct device_map *devices)
{
    *reader = (struct stream_reader){.node = node, .devices = devices};
}

static const struct record *stream_current(const struct stream_reader *reader)
{
    return (const struct record *)reader->buffer;
}

/* Publishes the record in the buffer. error: its file could not be stored here, so the record is
 * marked RECORD_UNAVAILABLE. */
static void stream_publish(struct stream_reader *reader, int error)
{
    struct record *r = (struct record *)reader->buffer;

    reader->have = 0;
    if ((r->flags & RECORD_GIVEN_BACK) != 0) {
        give_back_received(reader->node, r);
        return;
    }
    if (error != 0) {
        r->flags |= RECORD_UNAVAILABLE;
        r->error = -error;
        record_seal(r);
        if (!mirror_tell_no_room(reader->node, r->path, error)) {
            fi_log_once(LOG_WARN,
                        "%s: cannot keep %s (%s): such files are read from their own file system",
                        reader->node->directory, r->path, strerror(-error));
        }
    }
    if (r->kind == RECORD_LIVE) {
        if (!change_note_live(reader->node, r->path, r->path_length, (ino_t)r->argument)) {
            changes_mark_lost(reader->node);
        }
        reader->announced++;
    }
    segment_insert(&reader->node->index, r);
}

/* Another name of a file that this node has not kept is not kept, either. */
static int take_link(const struct stream_reader *reader, const struct record *r)
{
    const struct record_content *c = record_payload(r);
    int error = mirror_link(reader->node, c->first, r->path, extents_version_of(r));

    return error == -ENOENT ? -ENOBUFS : error;
}

static void finish_file(struct stream_reader *reader)
{
    const struct record *r = stream_current(reader);
    const struct record_content *c = record_payload(r);

    if (reader->file_error == 0) {
        reader->file_error = mirror_finish(&reader->file, reader->node, r->path, &c->st);
    }
    stream_publish(reader, reader->file_error);
}

/* The record in the buffer is complete. */
static void take_record(struct stream_reader *reader)
{
    const struct record *r = stream_current(reader);
    const struct record_content *c = record_payload(r);
    uint64_t following = bytes_following(r);
    bool is_file =
        r->kind == RECORD_CONTENT && r->error == 0 && (r->flags & RECORD_UNAVAILABLE) == 0;

    if (!is_file) {
        stream_publish(reader, 0);
    } else if (c->same_as) {
        stream_publish(reader, take_link(reader, r));
    } else {
        reader->file_left = following;
        reader->file_error = mirror_begin(&reader->file, reader->node, following);
        reader->file.parts = extents_of(r);
        if (following == 0) {
            finish_file(reader);
        }
    }
}

static size_t take_file_bytes(struct stream_reader *reader, const char *bytes, size_t size)
{
    size_t n = reader->file_left < size ? (size_t)reader->file_left : size;

    if (reader->file_error == 0) {
        reader->file_error = mirror_append(&reader->file, bytes, n);
        if (reader->file_error != 0) {
            mirror_abandon(&reader->file);
        }
    }
    reader->file_left -= n;
    if (reader->file_left == 0) {
        finish_file(reader);
    }
    return n;
}

static bool grow_buffer(struct stream_reader *reader, size_t need)
{
    char *more;

    if (need <= reader->capacity) {
        return true;
    }
    more = need > LARGEST_RECORD ? NULL : realloc(reader->buffer, need);
    if (more == NULL) {
        return false;
    }
    reader->buffer = more;
    reader->capacity = need;
    return true;
}

/* Collects the bytes of a record: first those of its head, which tells its size, then the rest.
 * Returns how many of the bytes it has taken. */
static size_t take_record_bytes(struct stream_reader *reader, const char *bytes, size_t size)
{
    size_t want = sizeof(struct record);
    size_t n;

    if (reader->have >= want) {
        want = stream_current(reader)->size;
    }
    if (want < sizeof(struct record) || !grow_buffer(reader, want)) {
        reader->broken = true;
        return size;
    }
    n = want - reader->have < size ? want - reader->have : size;
    memcpy(reader->buffer + reader->have, bytes, n);
    reader->have += n;
    if (reader->have >= sizeof(struct record) && reader->have == stream_current(reader)->size) {
        if (record_valid(stream_current(reader), reader->have) &&
            query_has_answer(stream_current(reader))) {
            devices_translate((struct record *)reader->buffer, reader->devices);
            take_record(reader);
        } else {
            reader->broken = true;
        }
    }
    return n;
}

void stream_read(struct stream_reader *reader, const char *bytes, size_t size)
{
    while (size > 0 && !reader->broken && reader->node != NULL) {
        size_t n = reader->file_left > 0 ? take_file_bytes(reader, bytes, size)
                                         : take_record_bytes(reader, bytes, size);

        bytes += n;
        size -= n;
    }
    if (reader->broken) {
        fi_log_once(LOG_ERROR,
                    "the stream from the root is damaged: this node reads the file system itself");
        atomic_store(&reader->node->index.header->state,
                     SERVICE_DEAD); /* so that no rank waits for an answer */
        segment_announce(&reader->node->index);
    }
}

void stream_reader_end(struct stream_reader *reader)
{
    if (reader->file_left > 0 && reader->file_error == 0) {
        mirror_abandon(&reader->file);
    }
    free(reader->buffer);
    reader->buffer = NULL;
}
