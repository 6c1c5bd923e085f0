/* SPDX-License-Identifier: BSD-3-Clause */
#include "pack/examine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"
#include "base/pathmap.h"
#include "pack/conda.h"
#include "relocate/classify.h"
#include "relocate/rewrite.h"

struct run {
    const struct examine *x;
    const char *prefixes[MANIFEST_PREFIXES];
    struct pathmap *conda; /* path -> the mode of conda's record; not changed here */
    _Atomic size_t next;
    pthread_mutex_t lock;
    struct error *error; /* under lock */
    _Atomic bool failed;
};

static unsigned examine_allowed(const struct run *r, const struct item *i)
{
    return strcmp(i->path, "pyvenv.cfg") == 0 ? ~0u : ~r->x->limited;
}

static void examine_set_reloc(const struct run *r, struct item *i, char mode, unsigned hits)
{
    char *p = i->reloc;
    hits &= examine_allowed(r, i);
    if (!hits || mode == '-') {
        return;
    }
    *p++ = mode;
    for (int k = 0; k < r->x->head->prefixes; k++) {
        if (hits >> k & 1) {
            *p++ = (char)('0' + k);
        }
    }
    *p = '\0';
}

static bool examine_ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Byte code has the length of a string before it, so it cannot be rewritten. It need not be. */
static char examine_choose_mode(struct run *r, const struct item *i, char mode)
{
    struct pathmap_value *v = pathmap_get(r->conda, i->path);
    if (examine_ends_with(i->path, ".pyc")) {
        return '-';
    }
    return v != NULL ? (char)v->layer : mode;
}

static int examine_file(struct run *r, struct item *i, struct error *err)
{
    struct classify c = {.prefixes = r->prefixes, .n = r->x->head->prefixes};
    int fd = open(i->source, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || classify_file(&c, fd) < 0) {
        error_set_errno(err, i->source, "cannot read");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    close(fd);
    if (c.size != (uint64_t)i->st.st_size) {
        return error_set(err, i->source, "it changed while it was read");
    }
    i->sum = c.sum;
    examine_set_reloc(r, i, examine_choose_mode(r, i, c.mode), c.hits);
    return 0;
}

/* An absolute link into the tree is relocated, any other stays. A relative link must not leave the
 * tree. */
static int examine_link(struct run *r, struct item *i, struct error *err)
{
    const char *why = name_link(i->path, i->link);
    if (why != NULL) {
        return error_set(err, i->source, "%s (to %s); exclude it", why, i->link);
    }
    for (int k = 0; k < r->x->head->prefixes; k++) {
        struct rewrite_map map = {r->prefixes[k], ""};
        char *moved = rewrite_path(i->link, &map, 1);
        free(moved);
        if (moved != NULL) {
            examine_set_reloc(r, i, 't', 1u << k);
            return 0;
        }
    }
    return 0;
}

static void *examine_some(void *arg)
{
    struct run *r = arg;
    size_t k;
    while (!r->failed && (k = atomic_fetch_add(&r->next, 1)) < r->x->items->n) {
        struct item *i = &r->x->items->list[k];
        struct error own = {0};
        int result = 0;
        if (i->type == ENTRY_FILE) {
            result = examine_file(r, i, &own);
        } else if (i->type == ENTRY_SYMLINK) {
            result = examine_link(r, i, &own);
        }
        if (result == 0) {
            continue;
        }
        pthread_mutex_lock(&r->lock);
        error_set(r->error, own.path, "%s", own.reason);
        pthread_mutex_unlock(&r->lock);
        r->failed = true;
    }
    return NULL;
}

/* The source of byte code: "a/m.py" for "a/__pycache__/m.cpython-311.pyc"; NULL for other names.
 * The caller frees the string. */
static char *examine_source_of(const char *path)
{
    static const char cache[] = "__pycache__/";
    const char *at = strstr(path, cache), *dot;
    if (at == NULL || !examine_ends_with(path, ".pyc") ||
        (dot = strchr(at + sizeof cache - 1, '.')) == NULL) {
        return NULL;
    }
    const char *stem = at + sizeof cache - 1;
    return io_format("%.*s%.*s.py", (int)(at - path), path, (int)(dot - stem), stem);
}

static void examine_drop_byte_code(struct items *it)
{
    struct pathmap *changing = pathmap_new();
    for (size_t k = 0; k < it->n; k++) {
        if (it->list[k].reloc[0] == 't' && examine_ends_with(it->list[k].path, ".py")) {
            pathmap_put(changing, it->list[k].path);
        }
    }
    for (size_t k = 0; k < it->n; k++) {
        char *source = examine_source_of(it->list[k].path);
        it->list[k].dropped |= source != NULL && pathmap_get(changing, source) != NULL;
        free(source);
    }
    pathmap_free(changing);
}

int examine_items(const struct examine *x, struct error *err)
{
    pthread_t threads[64];
    int started = 0, want = x->threads < 64 ? x->threads : 64;
    struct run r = {.x = x, .error = err, .conda = pathmap_new()};
    pthread_mutex_init(&r.lock, NULL);
    for (int k = 0; k < x->head->prefixes; k++) {
        r.prefixes[k] = x->head->prefix[k].old;
    }
    int result = conda_records(x->items, r.conda, err);
    if (result == 0) {
        while (started < want - 1 &&
               pthread_create(&threads[started], NULL, examine_some, &r) == 0) {
            started++;
        }
        examine_some(&r);
    }
    for (int k = 0; k < started; k++) {
        pthread_join(threads[k], NULL);
    }
    pthread_mutex_destroy(&r.lock);
    pathmap_free(r.conda);
    if (result < 0 || r.failed) {
        return -1;
    }
    examine_drop_byte_code(x->items);
    return 0;
}
