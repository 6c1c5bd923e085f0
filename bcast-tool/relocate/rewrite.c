/* SPDX-License-Identifier: BSD-3-Clause */
#include "relocate/rewrite.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

enum {
    ROOM = 256 << 10,
    SHEBANG_MAX = 127, /* Linux before 5.1; see execve(2) */
    SHEBANG_ROOM = 2 * PATH_MAX
};

struct rewriter {
    enum rewrite_mode mode;
    struct rewrite_map maps[REWRITE_MAPS];
    size_t from[REWRITE_MAPS], to[REWRITE_MAPS]; /* lengths of the strings of maps */
    int n;
    size_t longest;
    rewrite_emit *emit;
    void *context;
    bool started; /* the first line has been handled */
    size_t used;
    char *buffer, *string; /* ROOM bytes each */
};

struct rewriter *rewriter_new(void)
{
    struct rewriter *r = io_alloc(sizeof *r);
    r->buffer = io_alloc(ROOM);
    r->string = io_alloc(ROOM);
    return r;
}

void rewriter_free(struct rewriter *r)
{
    if (r == NULL) {
        return;
    }
    free(r->buffer);
    free(r->string);
    free(r);
}

void rewriter_begin(struct rewriter *r, enum rewrite_mode mode, const struct rewrite_map *maps,
                    int n, rewrite_emit *emit, void *context)
{
    r->mode = mode;
    r->n = n < REWRITE_MAPS ? n : REWRITE_MAPS;
    r->longest = 0;
    for (int i = 0; i < r->n; i++) {
        r->maps[i] = maps[i];
        r->from[i] = strlen(maps[i].from);
        r->to[i] = strlen(maps[i].to);
        if (r->from[i] > r->longest) {
            r->longest = r->from[i];
        }
    }
    r->emit = emit;
    r->context = context;
    r->started = false;
    r->used = 0;
}

static bool rewrite_is_name_byte(unsigned char c)
{
    return isalnum(c) || c >= 0x80 || strchr("_-.+~", c) != NULL;
}

static bool rewrite_matches(const char *p, const char *end, const char *prefix, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, prefix, n) == 0 &&
           (p + n == end || p[n] == '\0' || !rewrite_is_name_byte((unsigned char)p[n]));
}

/* Finds the first match that starts in [p, stop); the bytes up to `end` are known. The number of
 * its map goes to `*which`; the longest prefix wins. */
static const char *rewrite_find(const struct rewriter *r, const char *p, const char *stop,
                                const char *end, int *which)
{
    for (; p < stop && (p = memchr(p, '/', (size_t)(stop - p))) != NULL; p++) {
        *which = -1;
        for (int i = 0; i < r->n; i++) {
            if (rewrite_matches(p, end, r->maps[i].from, r->from[i]) &&
                (*which < 0 || r->from[i] > r->from[*which])) {
                *which = i;
            }
        }
        if (*which >= 0) {
            return p;
        }
    }
    return NULL;
}

static int rewrite_emit_bytes(struct rewriter *r, const char *p, const char *end, struct error *err)
{
    return p >= end ? 0 : r->emit(r->context, p, (size_t)(end - p), err);
}

/* Emits the text from `p` on, and replaces every match that starts before `stop`. Returns where it
 * has stopped. */
static const char *rewrite_text(struct rewriter *r, const char *p, const char *stop,
                                const char *end, struct error *err)
{
    const char *hit;
    int i;
    while ((hit = rewrite_find(r, p, stop, end, &i)) != NULL) {
        if (rewrite_emit_bytes(r, p, hit, err) < 0 ||
            r->emit(r->context, r->maps[i].to, r->to[i], err) < 0) {
            return NULL;
        }
        p = hit + r->from[i];
    }
    if (rewrite_emit_bytes(r, p, stop, err) < 0) {
        return NULL;
    }
    return p > stop ? p : stop;
}

/* Emits the string [p, nul) with its matches replaced, padded to its old length. */
static int rewrite_padded(struct rewriter *r, const char *p, const char *nul, struct error *err)
{
    size_t size = (size_t)(nul - p), used = 0;
    const char *hit;
    int i;
    while ((hit = rewrite_find(r, p, nul, nul, &i)) != NULL) {
        size_t before = (size_t)(hit - p);
        size_t rest = (size_t)(nul - hit) - r->from[i];
        if (used + before + r->to[i] + rest > size) {
            return error_set(
                err, NULL,
                "the new prefix %s is longer than the %zu bytes this binary has room for; "
                "choose a shorter DIR",
                r->maps[i].to, r->from[i]);
        }
        memcpy(r->string + used, p, before);
        memcpy(r->string + used + before, r->maps[i].to, r->to[i]);
        used += before + r->to[i];
        p = hit + r->from[i];
    }
    memcpy(r->string + used, p, (size_t)(nul - p));
    used += (size_t)(nul - p);
    memset(r->string + used, 0, size - used);
    return r->emit(r->context, r->string, size, err);
}

/* The same as rewrite_text() for binary data. It stops early at a string whose NUL has not come
 * yet. */
static const char *rewrite_binary(struct rewriter *r, const char *p, const char *stop,
                                  const char *end, struct error *err)
{
    const char *hit;
    int i;
    while ((hit = rewrite_find(r, p, stop, end, &i)) != NULL) {
        const char *nul = memchr(hit, '\0', (size_t)(end - hit));
        if (rewrite_emit_bytes(r, p, hit, err) < 0) {
            return NULL;
        }
        if (nul == NULL) {
            return hit;
        }
        if (rewrite_padded(r, hit, nul, err) < 0) {
            return NULL;
        }
        p = nul;
    }
    if (rewrite_emit_bytes(r, p, stop, err) < 0) {
        return NULL;
    }
    return p > stop ? p : stop;
}

/* Writes the header of a Python's script whose interpreter's path is too long for the kernel, as pip
 * does: for a shell it is a command, for Python a string. False: it does not fit. */
static bool rewrite_python_header(const char *prefix, const char *rest, const char *stop,
                                  const char *line, char out[SHEBANG_ROOM])
{
    int n = snprintf(out, SHEBANG_ROOM, "#!/bin/sh\n'''exec' \"%s%.*s\"%.*s \"$0\" \"$@\"\n' '''",
                     prefix, (int)(stop - rest), rest, (int)(line - stop), stop);
    return n < SHEBANG_ROOM;
}

/* Changes "#! /old/bin/python3.11 -u" if the line would get too long with the new prefix. Of a
 * Python's script "#!/bin/sh" and two more lines start the interpreter; of others, "#!/usr/bin/env
 * NAME" looks for it. Returns how many bytes the result stands for; 0 if the line stays. */
static size_t rewrite_shebang(struct rewriter *r, const char *p, const char *end,
                              char out[SHEBANG_ROOM])
{
    int i;
    const char *line = memchr(p, '\n', (size_t)(end - p));
    if (end - p < 3 || p[0] != '#' || p[1] != '!' || line == NULL) {
        return 0;
    }
    const char *start = p + 2 + strspn(p + 2, " \t");
    if (rewrite_find(r, start, line, line, &i) != start ||
        (size_t)(line - p) + r->to[i] - r->from[i] <= SHEBANG_MAX) {
        return 0;
    }
    const char *stop = start + strcspn(start, " \t\n");
    const char *name = memrchr(start, '/', (size_t)(stop - start));
    if (strncmp(name + 1, "python", 6) == 0 &&
        rewrite_python_header(r->maps[i].to, start + r->from[i], stop, line, out)) {
        return (size_t)(line - p);
    }
    snprintf(out, SHEBANG_ROOM, "#!/usr/bin/env %.*s", (int)(stop - name - 1), name + 1);
    return (size_t)(stop - p);
}

static int rewrite_start_text(struct rewriter *r, const char **p, const char *end,
                              struct error *err)
{
    char line[SHEBANG_ROOM];
    r->started = true;
    size_t skip = r->mode == REWRITE_TEXT ? rewrite_shebang(r, *p, end, line) : 0;
    *p += skip;
    return skip ? r->emit(r->context, line, strlen(line), err) : 0;
}

/* The end of the bytes in which a match can be recognised: that takes a prefix and the byte behind
 * it. */
static const char *known_end(const struct rewriter *r, bool last)
{
    size_t open = last ? 0 : r->longest + 1;
    return r->buffer + (r->used > open ? r->used - open : 0);
}

static void rewrite_keep(struct rewriter *r, const char *from)
{
    r->used = (size_t)(r->buffer + r->used - from);
    memmove(r->buffer, from, r->used);
}

/* Emits all bytes up to known_end(), and moves the rest to the start of the buffer. */
static int rewrite_process(struct rewriter *r, bool last, struct error *err)
{
    const char *p = r->buffer, *stop = known_end(r, last), *end = r->buffer + r->used;
    if (!r->started && rewrite_start_text(r, &p, end, err) < 0) {
        return -1;
    }
    stop = stop > p ? stop : p;
    p = r->mode == REWRITE_TEXT ? rewrite_text(r, p, stop, end, err)
                                : rewrite_binary(r, p, stop, end, err);
    if (p == NULL) {
        return -1;
    }
    if (p == r->buffer && r->used == ROOM) {
        return error_set(err, NULL, "a string with the prefix is longer than %d bytes", ROOM);
    }
    rewrite_keep(r, p);
    return last && r->used ? error_set(err, NULL, "a string with the prefix has no end") : 0;
}

int rewriter_feed(struct rewriter *r, const void *data, size_t n, struct error *err)
{
    while (n) {
        size_t part = ROOM - r->used < n ? ROOM - r->used : n;
        memcpy(r->buffer + r->used, data, part);
        r->used += part;
        data = (const char *)data + part;
        n -= part;
        if (r->used == ROOM && rewrite_process(r, false, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int rewriter_end(struct rewriter *r, struct error *err)
{
    return rewrite_process(r, true, err);
}

bool rewrite_contains(const void *data, size_t n, const char *prefix, bool last)
{
    const char *p = data, *end = p + n;
    size_t size = strlen(prefix);
    while ((p = memmem(p, (size_t)(end - p), prefix, size)) != NULL) {
        if ((p + size < end || last) && rewrite_matches(p, end, prefix, size)) {
            return true;
        }
        p++;
    }
    return false;
}

char *rewrite_path(const char *target, const struct rewrite_map *maps, int n)
{
    for (int i = 0; i < n; i++) {
        size_t size = strlen(maps[i].from);
        if (strncmp(target, maps[i].from, size) == 0 && (target[size] == '/' || !target[size])) {
            return io_format("%s%s", maps[i].to, target + size);
        }
    }
    return NULL;
}
