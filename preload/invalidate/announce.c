/* SPDX-License-Identifier: BSD-3-Clause */
/* announce.c - see announce.h */
#include "invalidate/announce.h"

#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/changes.h"

enum { SLICE_NS = 20000000, FULL_QUEUE_NS = 2000000 };

static bool is_everywhere(const struct node_cache *node, const char *path, size_t length)
{
    struct fi_query q = query_make(RECORD_EVERYWHERE, 0, path, length);

    return segment_find(&node->index, &q) != NULL;
}

/* Or one above it. */
static bool is_live(const struct node_cache *node, const char *path, size_t length)
{
    for (size_t n = length; n > 0; n = path_parent_length(path, n)) {
        if (is_everywhere(node, path, n)) {
            return true;
        }
    }
    return false;
}

static bool await_everywhere(struct node_cache *node, const struct fi_query *q, int64_t budget_ns)
{
    struct segment *s = &node->index;
    int64_t until = sys_now_ns() + budget_ns;
    bool asked = false;

    while (segment_is_answered(&node->index) && sys_now_ns() < until) {
        uint32_t generation = atomic_load(&s->header->generation);

        if (is_everywhere(node, q->path, q->length)) {
            return true;
        }
        asked = asked || segment_ask(s, q);
        segment_wait(s, generation, asked ? SLICE_NS : FULL_QUEUE_NS);
    }
    return is_everywhere(node, q->path, q->length);
}

void announce_directory(struct node_cache *node, const char *directory, size_t length,
                        int64_t budget_ns)
{
    struct stat st = {0};
    struct fi_query q;

    if (atomic_load(&node->index.header->announces) == 0 || is_live(node, directory, length) ||
        !segment_is_answered(&node->index)) {
        return;
    }
    sys_stat(directory, &st);
    q = query_make(RECORD_LIVE, st.st_ino, directory, length);
    if (await_everywhere(node, &q, budget_ns)) {
        return;
    }
    changes_mark_lost(node);
    fi_log_once(LOG_WARN,
                "other nodes could not be told of a change in %s: they may go on seeing what was "
                "there; this node answers nothing from now on",
                directory);
}
