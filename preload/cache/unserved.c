/* SPDX-License-Identifier: BSD-3-Clause */
/* unserved.c - see unserved.h */
#include "cache/unserved.h"

#include <errno.h>
#include <string.h>

#include "cache/library_content.h"

void unserved_note(struct segment *segment, const char *path, const char *why)
{
    size_t length = strlen(path);
    size_t size = strlen(why) + 1;
    struct fi_query q = query_make(RECORD_UNSERVED, 0, path, length);

    if (segment_find(segment, &q) == NULL) {
        segment_add(segment, &q, RECORD_LOCAL, why, size);
    }
}

const char *unserved_reason(const struct segment *segment, const char *path)
{
    const struct record *r = library_content(segment, path);

    if (r == NULL || (record_flags(r) & RECORD_UNAVAILABLE) == 0 || r->error == 0) {
        return NULL;
    }
    switch (r->error) {
    case EFBIG:
        return "is larger than FASTIMPORT_MAX_FILE";
    case ENOBUFS:
        return "does not fit into the memory that the job may use";
    case ENOSPC:
        return "does not fit into FASTIMPORT_DIR";
    default:
        return "could not be stored in the node cache";
    }
}

/* Attached children write to the segment, too, so check what they wrote. */
static bool unserved_is_sound(const struct segment *segment, const struct record *r)
{
    return record_valid(r, segment->mapped -
                               (size_t)((const char *)r - (const char *)segment->header));
}

/* Two ranks may record the same library at the same time. Only the newest record is found, and
 * counts. */
static bool is_duplicate(const struct segment *segment, const struct record *r)
{
    struct fi_query q = query_make(RECORD_UNSERVED, 0, r->path, r->path_length);

    return segment_find(segment, &q) != r;
}

size_t unserved_write(const struct segment *segment, char *out, size_t room, uint32_t *omitted)
{
    uint64_t position = segment_arena_start(segment);
    const struct record *r;
    size_t at = 0;

    *omitted = 0;
    while ((r = segment_walk_whole(segment, &position)) != NULL) {
        if (r->kind != RECORD_UNSERVED || !unserved_is_sound(segment, r) ||
            is_duplicate(segment, r)) {
            continue;
        }
        if (r->path_length + 1 + r->payload_size > room - at) {
            ++*omitted;
            continue;
        }
        memcpy(out + at, r->path, r->path_length + 1);
        memcpy(out + at + r->path_length + 1, record_payload(r), r->payload_size);
        at += r->path_length + 1 + r->payload_size;
    }
    return at;
}
