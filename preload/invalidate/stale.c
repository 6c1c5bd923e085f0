/* SPDX-License-Identifier: BSD-3-Clause */
/* stale.c - see stale.h */
#include "invalidate/stale.h"

#include <string.h>

#include "base/path.h"
#include "cache/changes.h"

enum { LINKS = 4 }; /* symlinks in a row; beyond that the path counts as stale */

struct walk {
    const struct stale_context *by;
    char *path; /* NUL-terminated; temporarily cut */
    size_t length;
    bool is_way; /* the whole path is only a part of the way, so only CHANGE_TREE counts */
    int links;
    ino_t directory; /* inode of the directory in which the next name is looked up; 0: unknown */
};

static bool stale_walk(struct walk *w);

/* The end of the component behind the prefix of length n. */
static size_t next_prefix(const char *path, size_t n, size_t length)
{
    size_t at = n == 1 ? 1 : n + 1;

    while (at < length && path[at] != '/') {
        at++;
    }
    return at;
}

/* Is this known to be a real directory? (The path_is_directory of path_fold().) */
static bool is_directory(void *context, const char *path, size_t length)
{
    const struct stale_context *by = context;
    int error;
    const struct record *r = by->look(path, length, &error);
    const struct record_stat *s = r == NULL ? NULL : record_payload(r);

    return s != NULL && r->error == 0 && S_ISDIR(s->link.st_mode);
}

static bool stale_link(const struct walk *w, size_t n, const struct record_stat *s, bool is_way)
{
    char directory[FI_PATH_MAX];
    char text[FI_PATH_MAX];
    struct fi_path target;
    struct walk next = {w->by, target.text, 0, is_way, w->links + 1, 0};
    size_t parent = path_parent_length(w->path, n);

    if (w->links == LINKS || s->target_length >= sizeof text) {
        return true;
    }
    memcpy(directory, w->path, parent);
    directory[parent] = '\0';
    memcpy(text, s->target_path, s->target_length);
    text[s->target_length] = '\0';
    if (!path_normalise(&target, directory, text) ||
        !path_fold(&target, is_directory, (void *)w->by)) {
        return true;
    }
    next.length = target.length;
    return stale_walk(&next);
}

static bool stale_object(const struct walk *w, const struct stat *st, enum change_extent extent)
{
    return change_of_inode(w->by->node, st->st_ino, extent);
}

enum step { STEP_ON, STEP_END, STEP_STALE };

/* Checks one name, at the end of the prefix of length n. */
static enum step stale_step(struct walk *w, size_t n)
{
    bool is_way = w->is_way || n < w->length;
    enum change_extent extent = is_way ? CHANGE_TREE : CHANGE_OBJECT;
    const char *name = path_name(w->path, n);
    const struct record *r;
    const struct record_stat *s;
    int error = 0;

    if (w->directory != 0 &&
        change_of_name(w->by->node, w->directory, name, n - (size_t)(name - w->path))) {
        return STEP_STALE;
    }
    r = w->by->look(w->path, n, &error);
    if (r == NULL) {
        return error != 0 ? STEP_END : STEP_STALE;
    }
    if (r->error != 0 || (record_flags(r) & RECORD_UNAVAILABLE) != 0) {
        return r->error != 0 ? STEP_END : STEP_STALE;
    }
    s = record_payload(r);
    w->directory = s->link.st_ino;
    if (stale_object(w, &s->link, extent)) {
        return STEP_STALE;
    }
    if (!S_ISLNK(s->link.st_mode)) {
        return STEP_ON;
    }
    w->directory = s->stat_error == 0 ? s->target.st_ino : 0;
    if ((s->stat_error == 0 && stale_object(w, &s->target, extent)) ||
        stale_link(w, n, s, is_way)) {
        return STEP_STALE;
    }
    return s->stat_error == 0 ? STEP_ON : STEP_END;
}

static bool stale_walk(struct walk *w)
{
    size_t n = 1;

    while (n < w->length) {
        enum change_extent extent;
        enum step how = STEP_ON;
        char saved;

        n = next_prefix(w->path, n, w->length);
        extent = w->is_way || n < w->length ? CHANGE_TREE : CHANGE_OBJECT;
        if (change_of_path(w->by->node, w->path, n, extent)) {
            return true;
        }
        saved = w->path[n];
        w->path[n] = '\0';
        if (policy_verdict(w->by->policy, w->path, n) != NOT_OURS) {
            how = stale_step(w, n);
        } else {
            w->directory = 0;
        }
        w->path[n] = saved;
        if (how != STEP_ON) {
            return how == STEP_STALE;
        }
    }
    return false;
}

bool stale_path(const struct stale_context *by, const char *path, size_t length)
{
    char copy[FI_PATH_MAX];
    struct walk w = {by, copy, length, false, 0, 0};

    if (length >= sizeof copy) {
        return true;
    }
    memcpy(copy, path, length);
    copy[length] = '\0';
    return stale_walk(&w);
}
