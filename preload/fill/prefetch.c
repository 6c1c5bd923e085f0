/* SPDX-License-Identifier: BSD-3-Clause */
/* prefetch.c - see prefetch.h */
#include "fill/prefetch.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "base/path.h"

static const char cache_name[] = "__pycache__";
static const char package_source[] = "__init__.py";

static struct {
    struct fill *fill;
    const struct policy *policy;
    bool (*hand_over)(const struct fi_query *query);
    _Atomic int learned; /* 0: nothing, 1: somebody writes, 2: ending is good */
    char ending[64];     /* ".cpython-311.pyc" */
} ahead;

void prefetch_start(struct fill *fill, const struct policy *policy,
                    bool (*hand_over)(const struct fi_query *query))
{
    ahead.policy = policy;
    ahead.hand_over = hand_over;
    __atomic_store_n(&ahead.fill, fill, __ATOMIC_RELEASE);
}

/* True: nobody has looked, and the claim is the caller's. */
static bool prefetch_claim(const struct fi_query *q)
{
    struct segment *s = &ahead.fill->node->index;

    return policy_verdict(ahead.policy, q->path, q->length) == OURS && segment_find(s, q) == NULL &&
           segment_claim(s, q->hash);
}

static void prefetch(enum record_kind kind, const char *path, size_t length)
{
    struct fi_query q = query_make(kind, 0, path, length);

    if (prefetch_claim(&q)) {
        fi_enter(); /* a signal handler that comes now asks libc */
        if (!ahead.hand_over(&q)) {
            segment_unclaim(&ahead.fill->node->index, q.hash);
        }
        fi_leave();
    }
}

/* Does the directory's listing, if it is known, show this? */
static bool listed(const char *directory, size_t length, const char *name, unsigned char type)
{
    struct fi_query list = query_make(RECORD_LIST, 0, directory, length);
    const struct record *r = segment_find(&ahead.fill->node->index, &list);
    const struct record_list_entry *e = NULL;

    if (r != NULL && r->error == 0 && (record_flags(r) & RECORD_UNAVAILABLE) == 0) {
        e = record_list_find(r, name);
    }
    return e != NULL && e->type == type;
}

/* Is this what an import statement can name? */
static bool prefetch_is_identifier(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_') {
            return false;
        }
    }
    return length > 0 && !isdigit((unsigned char)name[0]);
}

/* The bytecode of the module that a directory has under this name. */
static void read_bytecode(const char *directory, size_t length, const char *module, size_t stem)
{
    char path[FI_PATH_MAX];
    int n;

    if (atomic_load_explicit(&ahead.learned, memory_order_acquire) != 2) {
        return;
    }
    n = snprintf(path, sizeof path, "%.*s/%s/%.*s%s", (int)length, directory, cache_name, (int)stem,
                 module, ahead.ending);
    if (n > 0 && (size_t)n < sizeof path) {
        prefetch(RECORD_CONTENT, path, (size_t)n);
    }
}

/* Asked: DIRECTORY/__init__.SUFFIX. Shown to be there: DIRECTORY. */
static void of_package(const char *directory, size_t length)
{
    size_t parent = path_parent_length(directory, length);
    char path[FI_PATH_MAX + sizeof package_source];
    struct fi_query list;

    if (length >= FI_PATH_MAX || parent == 0) {
        return;
    }
    memcpy(path, directory, length);
    path[length] = '\0';
    list = query_make(RECORD_LIST, 0, path, length);
    if (!prefetch_is_identifier(path + parent + 1, length - parent - 1) ||
        !listed(path, parent, path + parent + 1, DT_DIR) || !prefetch_claim(&list)) {
        return;
    }
    read_bytecode(path, length, package_source, strcspn(package_source, "."));
    path[length] = '/';
    strcpy(path + length + 1, package_source);
    prefetch(RECORD_STAT, path, length + sizeof package_source);
    path[length] = '\0';
    fill_claimed(ahead.fill, &list);
}

/* Asked: DIRECTORY/MODULE.py. Shown to be there: this, and DIRECTORY/__pycache__. */
static void of_source(const char *directory, size_t length, const char *name, size_t stem)
{
    if (prefetch_is_identifier(name, stem) && listed(directory, length, name, DT_REG) &&
        listed(directory, length, cache_name, DT_DIR)) {
        read_bytecode(directory, length, name, stem);
    }
}

/* ".../__pycache__/<module>.<tag>.pyc" (PEP 3147) */
static void prefetch_learn(const struct fi_query *q, const char *name)
{
    const size_t room = sizeof cache_name - 1;
    const char *ending = strchr(name, '.');
    int nothing = 0;

    if (ending == NULL || strlen(ending) >= sizeof ahead.ending ||
        (size_t)(name - q->path) <= room || strncmp(name - 1 - room, cache_name, room) != 0 ||
        !atomic_compare_exchange_strong(&ahead.learned, &nothing, 1)) {
        return;
    }
    strcpy(ahead.ending, ending);
    atomic_store_explicit(&ahead.learned, 2, memory_order_release);
}

void prefetch_after(const struct fi_query *q)
{
    size_t n = path_parent_length(q->path, q->length);
    const char *name = q->path + n + 1;
    size_t length = strlen(name);

    if (__atomic_load_n(&ahead.fill, __ATOMIC_ACQUIRE) == NULL || n <= 1) {
        return;
    }
    if (q->kind == RECORD_CONTENT) {
        prefetch_learn(q, name);
    } else if (q->kind == RECORD_STAT) {
        if (strncmp(name, "__init__.", 9) == 0) {
            of_package(q->path, n);
        }
        if (length > 3 && strcmp(name + length - 3, ".py") == 0) {
            of_source(q->path, n, name, length - 3);
        }
    }
}
