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

/* How far this process is with learning how bytecode names end. */
enum learned { LEARNED_NOTHING, LEARNING, LEARNED };

static struct {
    struct fill *fill;
    const struct policy *policy;
    bool (*hand_over)(const struct fi_query *query);
    _Atomic int learned; /* enum learned */
    char ending[64];     /* ".cpython-311.pyc" */
} prefetcher;

void prefetch_start(struct fill *fill, const struct policy *policy,
                    bool (*hand_over)(const struct fi_query *query))
{
    prefetcher.policy = policy;
    prefetcher.hand_over = hand_over;
    __atomic_store_n(&prefetcher.fill, fill, __ATOMIC_RELEASE);
}

/* True: nobody has looked this up, and the caller now holds the claim. */
static bool prefetch_claim(const struct fi_query *q)
{
    struct segment *s = &prefetcher.fill->node->index;

    return policy_verdict(prefetcher.policy, q->path, q->length) == OURS &&
           segment_find(s, q) == NULL && segment_claim(s, q->hash);
}

static void prefetch_query(enum record_kind kind, const char *path, size_t length)
{
    struct fi_query q = query_make(kind, 0, path, length);

    if (prefetch_claim(&q)) {
        fi_enter(); /* a signal handler that runs now must use libc */
        if (!prefetcher.hand_over(&q)) {
            segment_unclaim(&prefetcher.fill->node->index, q.hash);
        }
        fi_leave();
    }
}

/* Does the cached listing of the directory show this entry? */
static bool prefetch_is_listed(const char *directory, size_t length, const char *name,
                               unsigned char type)
{
    struct fi_query list = query_make(RECORD_LIST, 0, directory, length);
    const struct record *r = segment_find(&prefetcher.fill->node->index, &list);
    const struct record_list_entry *e = NULL;

    if (r != NULL && r->error == 0 && (record_flags(r) & RECORD_UNAVAILABLE) == 0) {
        e = record_list_find(r, name);
    }
    return e != NULL && e->type == type;
}

/* Could an import statement name this? */
static bool prefetch_is_identifier(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_') {
            return false;
        }
    }
    return length > 0 && !isdigit((unsigned char)name[0]);
}

/* Prefetches the bytecode of a module: <directory>/__pycache__/<stem of module><ending>. */
static void prefetch_bytecode(const char *directory, size_t length, const char *module, size_t stem)
{
    char path[FI_PATH_MAX];
    int n;

    if (atomic_load_explicit(&prefetcher.learned, memory_order_acquire) != LEARNED) {
        return;
    }
    n = snprintf(path, sizeof path, "%.*s/%s/%.*s%s", (int)length, directory, cache_name, (int)stem,
                 module, prefetcher.ending);
    if (n > 0 && (size_t)n < sizeof path) {
        prefetch_query(RECORD_CONTENT, path, (size_t)n);
    }
}

/* The program asks for DIRECTORY/__init__.SUFFIX, and the listing of the parent shows DIRECTORY. */
static void prefetch_package(const char *directory, size_t length)
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
        !prefetch_is_listed(path, parent, path + parent + 1, DT_DIR) || !prefetch_claim(&list)) {
        return;
    }
    prefetch_bytecode(path, length, package_source, strcspn(package_source, "."));
    path[length] = '/';
    strcpy(path + length + 1, package_source);
    prefetch_query(RECORD_STAT, path, length + sizeof package_source);
    path[length] = '\0';
    fill_and_unclaim(prefetcher.fill, &list);
}

/* The program asks for DIRECTORY/MODULE.py, and the listing shows that file and __pycache__. */
static void prefetch_module(const char *directory, size_t length, const char *name, size_t stem)
{
    if (prefetch_is_identifier(name, stem) && prefetch_is_listed(directory, length, name, DT_REG) &&
        prefetch_is_listed(directory, length, cache_name, DT_DIR)) {
        prefetch_bytecode(directory, length, name, stem);
    }
}

/* Learns the ending from ".../__pycache__/<module>.<tag>.pyc" (PEP 3147). */
static void prefetch_learn(const struct fi_query *q, const char *name)
{
    const size_t room = sizeof cache_name - 1;
    const char *ending = strchr(name, '.');
    int nothing = LEARNED_NOTHING;

    if (ending == NULL || strlen(ending) >= sizeof prefetcher.ending ||
        (size_t)(name - q->path) <= room || strncmp(name - 1 - room, cache_name, room) != 0 ||
        !atomic_compare_exchange_strong(&prefetcher.learned, &nothing, LEARNING)) {
        return;
    }
    strcpy(prefetcher.ending, ending);
    atomic_store_explicit(&prefetcher.learned, LEARNED, memory_order_release);
}

void prefetch_after(const struct fi_query *q)
{
    size_t n = path_parent_length(q->path, q->length);
    const char *name = q->path + n + 1;
    size_t length = strlen(name);

    if (__atomic_load_n(&prefetcher.fill, __ATOMIC_ACQUIRE) == NULL || n <= 1) {
        return;
    }
    if (q->kind == RECORD_CONTENT) {
        prefetch_learn(q, name);
    } else if (q->kind == RECORD_STAT) {
        if (strncmp(name, "__init__.", 9) == 0) {
            prefetch_package(q->path, n);
        }
        if (length > 3 && strcmp(name + length - 3, ".py") == 0) {
            prefetch_module(q->path, n, name, length - 3);
        }
    }
}
