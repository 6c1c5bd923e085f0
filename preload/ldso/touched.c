/* SPDX-License-Identifier: BSD-3-Clause */
/* touched.c - see touched.h */
#include "ldso/touched.h"

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

enum { ENTRIES = 4096 }; /* of the page map, read at once */

static const uint64_t in_memory_or_swapped = 3ULL << 62;

struct touched_object {
    char *name;            /* owned */
    ElfW(Phdr) * segments; /* owned */
    size_t n_segments;
    uint64_t base;
};

struct touched_list {
    struct touched_object *objects;
    size_t n, room;
    bool failed;
};

static int touched_collect(struct dl_phdr_info *info, size_t size, void *list_)
{
    struct touched_list *list = list_;
    struct touched_object *o;

    (void)size;
    if (info->dlpi_name == NULL || info->dlpi_name[0] != '/') {
        return 0;
    }
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 256 : 2 * list->room;
        struct touched_object *more = realloc(list->objects, room * sizeof *more);

        if (more == NULL) {
            list->failed = true;
            return 1;
        }
        list->objects = more;
        list->room = room;
    }
    o = &list->objects[list->n++];
    *o = (struct touched_object){.name = strdup(info->dlpi_name),
                                 .segments = calloc(info->dlpi_phnum, sizeof *o->segments),
                                 .n_segments = info->dlpi_phnum,
                                 .base = info->dlpi_addr};
    list->failed = o->name == NULL || o->segments == NULL;
    if (!list->failed) {
        memcpy(o->segments, info->dlpi_phdr, info->dlpi_phnum * sizeof *o->segments);
    }
    return list->failed;
}

static void touched_free(struct touched_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->objects[i].name);
        free(list->objects[i].segments);
    }
    free(list->objects);
}

struct touched_parts {
    struct touched_part *list; /* owned */
    size_t n, room;
    bool failed;
};

static void add_window(struct touched_parts *p, uint64_t offset)
{
    uint64_t from = offset / TOUCHED_WINDOW * TOUCHED_WINDOW;

    if (p->n > 0 && p->list[p->n - 1].from <= from && from <= p->list[p->n - 1].to) {
        if (from == p->list[p->n - 1].to) {
            p->list[p->n - 1].to += TOUCHED_WINDOW;
        }
        return;
    }
    if (p->n == p->room) {
        size_t room = p->room == 0 ? 64 : 2 * p->room;
        struct touched_part *more = realloc(p->list, room * sizeof *more);

        p->failed = p->failed || more == NULL;
        if (more == NULL) {
            return;
        }
        p->list = more;
        p->room = room;
    }
    p->list[p->n++] = (struct touched_part){from, from + TOUCHED_WINDOW};
}

/* Adds the pages of one segment. `entries`: room for ENTRIES. */
static bool add_segment_pages(int pagemap, uint64_t base, const ElfW(Phdr) * h, uint64_t *entries,
                              struct touched_parts *parts)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t first = (base + h->p_vaddr) / page;
    uint64_t end = (base + h->p_vaddr + h->p_filesz + page - 1) / page;
    uint64_t offset = h->p_offset / page * page; /* of the first page */

    for (uint64_t at = first; at < end; at += ENTRIES) {
        size_t n = end - at < ENTRIES ? (size_t)(end - at) : ENTRIES;

        if (sys_pread_all(pagemap, entries, n * sizeof *entries, (off_t)(at * sizeof *entries)) !=
            (ssize_t)(n * sizeof *entries)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if ((entries[i] & in_memory_or_swapped) != 0) {
                add_window(parts, offset + (at - first + i) * page);
            }
        }
    }
    return true;
}

static bool touched_read(int pagemap, const struct touched_object *o, uint64_t *entries,
                         struct touched_parts *parts)
{
    bool read = true;

    parts->n = 0;
    for (size_t i = 0; i < o->n_segments && read; i++) {
        if (o->segments[i].p_type == PT_LOAD && o->segments[i].p_filesz > 0) {
            read = add_segment_pages(pagemap, o->base, &o->segments[i], entries, parts);
        }
    }
    return read && !parts->failed;
}

bool touched_all(void (*found)(void *context, const char *name, const struct touched_part *parts,
                               size_t n),
                 void *context)
{
    struct touched_list list = {0};
    struct touched_parts parts = {0};
    uint64_t *entries = calloc(ENTRIES, sizeof *entries);
    int pagemap = sys_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    bool done = entries != NULL && pagemap >= 0 && dl_iterate_phdr(touched_collect, &list) == 0;

    for (size_t i = 0; i < list.n && done; i++) {
        done = touched_read(pagemap, &list.objects[i], entries, &parts);
        if (done && parts.n > 0) {
            found(context, list.objects[i].name, parts.list, parts.n);
        }
    }
    if (pagemap >= 0) {
        sys_close(pagemap);
    }
    free(entries);
    free(parts.list);
    touched_free(&list);
    return done;
}
