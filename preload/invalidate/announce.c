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

/* inode 0: a directory under its path. */
static bool is_everywhere(const struct node_cache *node, const char *path, size_t length,
                          uint64_t inode)
{
    struct fi_query q = query_make(RECORD_EVERYWHERE, inode, path, length);

    return segment_find(&node->index, &q) != NULL;
}

/* Or one above it. */
static bool is_live(const struct node_cache *node, const char *path, size_t length)
{
    for (size_t n = length; n > 0; n = path_parent_length(path, n)) {
        if (is_everywhere(node, path, n, 0)) {
            return true;
        }
    }
    return false;
}

/* END is on its way to all nodes, or has come: no node answers anything any more. */
static bool has_ended(const struct node_cache *node)
{
    return atomic_load(&node->index.header->state) == SERVICE_ENDED;
}

/* Has an earlier announcement got no answer? Then no other one waits. */
static bool has_failed(const struct node_cache *node)
{
    return atomic_load(&node->index.header->lost_changes) != 0;
}

/* So long an announcement may take: by then a node that has not got it has noticed the silence. */
static int64_t wait_budget_ns(const struct node_cache *node)
{
    return 2 * atomic_load(&node->index.header->silence_ns);
}

static bool await_everywhere(struct node_cache *node, const struct fi_query *q)
{
    struct segment *s = &node->index;
    int64_t until = sys_now_ns() + wait_budget_ns(node);
    bool asked = false;

    while (!has_ended(node) && sys_now_ns() < until) {
        uint32_t generation = atomic_load(&s->header->generation);

        if (is_everywhere(node, q->path, q->length, q->argument)) {
            return true;
        }
        asked = asked || segment_ask(s, q);
        segment_wait(s, generation, asked ? SLICE_NS : FULL_QUEUE_NS);
    }
    return has_ended(node) || is_everywhere(node, q->path, q->length, q->argument);
}

static void announcement_failed(struct node_cache *node, const char *directory)
{
    changes_mark_lost(node);
    fi_log_once(LOG_WARN,
                "a change in %s was not announced to all nodes in time: this node, and those that "
                "did not hear of it, read everything from the file system from now on",
                directory);
}

static bool is_needless(const struct node_cache *node)
{
    return wait_budget_ns(node) == 0 || has_ended(node);
}

static void announce(struct node_cache *node, const char *path, size_t length, ino_t inode)
{
    struct fi_query q = query_make(RECORD_LIVE, inode, path, length);

    if (has_failed(node)) {
        segment_ask(&node->index, &q);
    } else if (!await_everywhere(node, &q)) {
        announcement_failed(node, path);
    }
}

void announce_directory(struct node_cache *node, const char *directory, size_t length)
{
    struct stat st = {0};

    if (is_needless(node) || is_live(node, directory, length)) {
        return;
    }
    sys_stat(directory, &st);
    announce(node, directory, length, st.st_ino);
}

void announce_inode(struct node_cache *node, const char *path, size_t length, ino_t inode)
{
    if (!is_needless(node) && !is_everywhere(node, path, length, inode)) {
        announce(node, path, length, inode);
    }
}
