/* SPDX-License-Identifier: BSD-3-Clause */
/* record.c - see record.h */
#include "cache/record.h"

#include <string.h>

#include "base/hash.h"
#include "cache/extents.h"

uint64_t record_hash(enum record_kind kind, uint64_t argument, const char *path, size_t path_length)
{
    return fi_hash(path, path_length, argument * 31 + (uint64_t)kind);
}

/* The checksum of the key, the error, the flags, the path and the payload. It leaves out
 * RECORD_USED, the one bit that changes after publication. */
static uint32_t record_checksum(const struct record *r)
{
    size_t bytes = record_round8((size_t)r->path_length + 1) + record_round8(r->payload_size);
    struct record head;

    memcpy(&head, r, sizeof head);
    head.flags &= (uint8_t)~RECORD_USED;
    return (uint32_t)fi_hash(
        r->path, bytes,
        fi_hash(&head.hash, offsetof(struct record, check) - offsetof(struct record, hash), 0));
}

void record_seal(struct record *r)
{
    r->hash = record_hash((enum record_kind)r->kind, r->argument, r->path, r->path_length);
    r->check = record_checksum(r);
}

/* The entry at an offset of the payload, or NULL if the entry or the NUL of its name lies
 * outside. */
static const struct record_list_entry *record_entry_at(const struct record *r, size_t at)
{
    const struct record_list_entry *e = (const void *)((const char *)record_payload(r) + at);
    size_t head = offsetof(struct record_list_entry, name);

    if (at % 8 != 0 || at + head > r->payload_size ||
        at + head + e->length + 1u > r->payload_size) {
        return NULL;
    }
    return e->name[e->length] == '\0' ? e : NULL;
}

static size_t record_entry_size(const struct record_list_entry *e)
{
    return record_round8(offsetof(struct record_list_entry, name) + e->length + 1u);
}

/* Do the entries fill the payload behind the slots, and does each slot lead to an entry? */
static bool list_valid(const struct record *r)
{
    const struct record_list *list = record_payload(r);
    size_t at;

    if (r->payload_size < sizeof *list || list->n_slots == 0 ||
        (list->n_slots & (list->n_slots - 1)) != 0) {
        return false;
    }
    at = sizeof *list + (size_t)list->n_slots * sizeof list->slots[0];
    if (at > r->payload_size) {
        return false;
    }
    for (uint32_t i = 0; i < list->n_slots; i++) {
        if (list->slots[i] != 0 &&
            (list->slots[i] < at || record_entry_at(r, list->slots[i]) == NULL)) {
            return false;
        }
    }
    at = (at + 7) & ~(size_t)7;
    for (uint32_t i = 0; i < list->n_entries; i++) {
        const struct record_list_entry *e = record_entry_at(r, at);

        if (e == NULL) {
            return false;
        }
        at += record_entry_size(e);
    }
    return at == r->payload_size;
}

static bool text_valid(const struct record *r)
{
    return r->payload_size > 0 && ((const char *)record_payload(r))[r->payload_size - 1] == '\0';
}

static bool content_valid(const struct record *r)
{
    const struct record_content *c = record_payload(r);
    size_t room = r->payload_size;
    const char *end = room <= sizeof *c ? NULL : memchr(c->first, '\0', room - sizeof *c);
    struct extents extents;

    if (end == NULL || c->n_extents > EXTENTS_MAX ||
        (c->n_extents > 0 &&
         record_extents_offset((size_t)(end - c->first)) + c->n_extents * sizeof *extents.list !=
             room)) {
        return false;
    }
    extents = (struct extents){
        (const void *)((const char *)c + record_extents_offset(strlen(c->first))), c->n_extents};
    return extents_valid(&extents, (uint64_t)c->st.st_size) &&
           (c->n_extents == 0 || c->same_as || c->size == extents_total(&extents));
}

static bool payload_valid(const struct record *r)
{
    const struct record_stat *st = record_payload(r);

    switch ((enum record_kind)r->kind) { /* kinds that are no answers: they always have a payload */
    case RECORD_MIRROR:
        return r->payload_size == sizeof(struct stat);
    case RECORD_ORIGIN:
    case RECORD_ROOTS:
    case RECORD_UNSERVED:
        return text_valid(r);
    default:
        break;
    }
    if (r->error != 0 || (record_flags(r) & RECORD_UNAVAILABLE) != 0) {
        return true;
    }
    switch ((enum record_kind)r->kind) {
    case RECORD_STAT:
        return r->payload_size >= sizeof *st && r->payload_size - sizeof *st >= st->target_length;
    case RECORD_CONTENT:
        return content_valid(r);
    case RECORD_STATX:
        return r->payload_size == sizeof(struct statx);
    case RECORD_REALPATH:
    case RECORD_LIBRARY:
        return text_valid(r);
    case RECORD_LIST:
        return list_valid(r);
    default:
        return true;
    }
}

bool record_valid(const struct record *r, size_t room)
{
    uint32_t size;

    if (room < sizeof *r) {
        return false;
    }
    size = atomic_load_explicit(&r->size, memory_order_acquire);
    return size <= room && r->kind > 0 && r->kind < RECORD_KINDS && r->payload_size <= room &&
           size == record_size_for(r->path_length, r->payload_size) &&
           r->path[r->path_length] == '\0' && r->check == record_checksum(r) && payload_valid(r);
}

const struct record_list_entry *record_list_find(const struct record *r, const char *name)
{
    const struct record_list *list = record_payload(r);
    uint32_t mask = list->n_slots - 1;
    uint32_t slot = (uint32_t)fi_hash(name, strlen(name), 0) & mask;

    for (uint32_t i = 0; i <= mask && list->slots[slot] != 0; i++, slot = (slot + 1) & mask) {
        const struct record_list_entry *e;

        if (list->slots[slot] >= r->payload_size) {
            break;
        }
        e = (const void *)((const char *)list + list->slots[slot]);
        if (strcmp(e->name, name) == 0) {
            return e;
        }
    }
    return NULL;
}

bool record_list_lacks(const struct record *r, const char *name)
{
    return r->error == 0 && (record_flags(r) & RECORD_UNAVAILABLE) == 0 && name[0] != '.' &&
           record_list_find(r, name) == NULL;
}

const struct record_list_entry *record_list_next(const struct record *r,
                                                 const struct record_list_entry *entry)
{
    const struct record_list *list = record_payload(r);
    const char *at =
        (const char *)list + record_round8(sizeof *list + list->n_slots * sizeof list->slots[0]);

    if (entry != NULL) {
        at = (const char *)entry + record_entry_size(entry);
    }
    return at < (const char *)list + r->payload_size ? (const void *)at : NULL;
}
