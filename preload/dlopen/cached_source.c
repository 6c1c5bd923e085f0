/* SPDX-License-Identifier: BSD-3-Clause */
/* cached_source.c - see cached_source.h */
#include "dlopen/cached_source.h"

#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "cache/mirror.h"
#include "ldso/closure_dso.h"

static struct {
    struct fill *fill;
    const struct policy *policy;
} library;

void cached_source_init(struct fill *fill, const struct policy *policy)
{
    library.fill = fill;
    library.policy = policy;
}

bool cached_source_is_ours(const char *path)
{
    return policy_verdict(library.policy, path, strlen(path)) == OURS;
}

static const struct record *cached_source_record(enum record_kind kind, uint64_t argument,
                                                 const char *path)
{
    struct fi_query q = query_make(kind, argument, path, strlen(path));
    const struct record *r = segment_find(&library.fill->node->index, &q);

    if (r == NULL) {
        r = fill_search(library.fill, &q);
    }
    return r == NULL || (record_flags(r) & RECORD_UNAVAILABLE) != 0 ? NULL : r;
}

static bool is_real_directory(void *context, const char *path, size_t length)
{
    const struct record *r = policy_verdict(library.policy, path, length) == OURS
                                 ? cached_source_record(RECORD_STAT, 0, path)
                                 : NULL;

    (void)context;
    return r != NULL && r->error == 0 &&
           S_ISDIR(((const struct record_stat *)record_payload(r))->link.st_mode);
}

bool cached_source_name(const char *path, struct fi_path *name)
{
    return path_normalise(name, "/", path) && path_fold(name, is_real_directory, NULL) &&
           cached_source_is_ours(name->text);
}

/* The record with the part of a file that ld.so maps; or with all of it, if somebody has read the
 * whole file already. */
static const struct record *cached_file(const char *path)
{
    struct fi_query whole = query_make(RECORD_CONTENT, 0, path, strlen(path));
    const struct record *r = segment_find(&library.fill->node->index, &whole);

    return r != NULL && (record_flags(r) & RECORD_UNAVAILABLE) == 0
               ? r
               : cached_source_record(RECORD_CONTENT, RECORD_MAPPED, path);
}

static int cached_source_open(void *ctx, const char *path, struct fi_elf_bytes *out)
{
    char copy[MIRROR_PATH_MAX];
    struct fi_path name;
    const struct record *r = cached_source_name(path, &name) ? cached_file(name.text) : NULL;

    (void)ctx;
    if (r == NULL) {
        return closure_dso_map(path, out);
    }
    if (r->error != 0) {
        return r->error;
    }
    return mirror_copy_path(library.fill->node, r->path, extents_version_of(r), copy, sizeof copy)
               ? closure_dso_map(copy, out)
               : ENAMETOOLONG;
}

/* stat of the original, which does not read the file. Returns 0 or an errno, as struct
 * fi_elf_source wants it. */
static int original_stat(const char *path, struct stat *st)
{
    struct fi_path name;
    const struct record *r =
        cached_source_name(path, &name) ? cached_source_record(RECORD_STAT, 0, name.text) : NULL;
    const struct record_stat *s;

    if (r == NULL) {
        return -sys_stat(path, st);
    }
    if (r->error != 0) {
        return r->error;
    }
    s = record_payload(r);
    *st = S_ISLNK(s->link.st_mode) ? s->target : s->link;
    return S_ISLNK(s->link.st_mode) ? s->stat_error : 0;
}

static int cached_source_identity(void *ctx, const char *path, unsigned long *dev,
                                  unsigned long *ino)
{
    struct stat st;
    int error = original_stat(path, &st);

    (void)ctx;
    if (error == 0) {
        *dev = st.st_dev;
        *ino = st.st_ino;
    }
    return error;
}

static int cached_source_is_dir(void *ctx, const char *path)
{
    struct stat st;

    (void)ctx;
    return original_stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const struct fi_elf_source cached_source = {NULL, cached_source_open, closure_dso_unmap,
                                            cached_source_identity, cached_source_is_dir};
