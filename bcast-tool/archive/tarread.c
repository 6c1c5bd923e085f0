/* SPDX-License-Identifier: BSD-3-Clause */
#include "archive/tarread.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/name.h"
#include "base/io.h"

struct tar {
    struct archive *archive;
    tar_next_block *next;
    void *context;
    struct error source; /* why the source of the bytes failed */
    struct tar_policy policy;
    uint64_t bytes, files;
    uint64_t stream; /* bytes of the tar that were read */
    uint64_t offset; /* position in the current file's data */
    char path[PATH_MAX], link[PATH_MAX];
    bool opened;
};

static la_ssize_t tar_read_block(struct archive *a, void *context, const void **block)
{
    struct tar *t = context;
    ssize_t n = t->next(t->context, (const uint8_t **)block, &t->source);
    if (n < 0) {
        archive_set_error(a, EIO, "%s", t->source.reason);
    }
    t->stream += n > 0 ? (uint64_t)n : 0;
    return n;
}

struct tar *tar_open(tar_next_block *next, void *context, const struct tar_policy *policy)
{
    struct tar *t = io_alloc(sizeof *t);
    t->next = next;
    t->context = context;
    t->policy = *policy;
    t->archive = archive_read_new();
    archive_read_support_filter_none(t->archive);
    archive_read_support_format_tar(t->archive);
    return t;
}

void tar_close(struct tar *t)
{
    if (t != NULL) {
        archive_read_free(t->archive);
    }
    free(t);
}

/* The error of the source says more than libarchive's. */
static int tar_fail(struct tar *t, struct error *err, const char *path)
{
    if (t->source.set && t->source.path[0]) {
        return error_set(err, t->source.path, "%s", t->source.reason);
    }
    if (t->source.set) {
        return error_set(err, NULL, "%s", t->source.reason);
    }
    const char *why = archive_error_string(t->archive);
    return error_set(err, path, "not a valid tar archive: %s", why != NULL ? why : "unknown error");
}

static const char *tar_check_link(struct tar *t, struct entry *e, const char *target)
{
    if (e->type == ENTRY_HARDLINK) {
        e->link = t->link;
        return name_normal(target, t->link, sizeof t->link);
    }
    e->link = target;
    return name_link(e->path, target);
}

/* Takes the type of an entry. Returns NULL, or the reason for a refusal. */
static const char *tar_take_type(struct tar *t, struct archive_entry *a, struct entry *e)
{
    if (archive_entry_hardlink(a) != NULL) {
        e->type = ENTRY_HARDLINK;
        return tar_check_link(t, e, archive_entry_hardlink(a));
    }
    switch (archive_entry_filetype(a)) {
    case AE_IFREG:
        e->type = ENTRY_FILE;
        return NULL;
    case AE_IFDIR:
        e->type = ENTRY_DIR;
        return NULL;
    case AE_IFLNK:
        e->type = ENTRY_SYMLINK;
        return tar_check_link(t, e, archive_entry_symlink(a));
    default:
        return "it is a device, FIFO or socket, which is refused";
    }
}

/* Drops setgid from directories, which often have it in a group's space. Refuses it on files. */
static const char *tar_take_mode(struct archive_entry *a, struct entry *e)
{
    mode_t mode = archive_entry_mode(a) & 07777;
    e->mode = mode & ENTRY_MODE;
    if (e->type != ENTRY_DIR && e->type != ENTRY_SYMLINK && (mode & (S_ISUID | S_ISGID))) {
        return "it is setuid or setgid, which is refused";
    }
    return NULL;
}

static const char *tar_take_size(struct tar *t, struct archive_entry *a, struct entry *e)
{
    int64_t size = archive_entry_size(a);
    e->size = e->type == ENTRY_FILE && size > 0 ? (uint64_t)size : 0;
    e->sparse = archive_entry_sparse_count(a) > 0;
    if (size < 0) {
        return "its size is negative";
    }
    if (e->size > t->policy.max_bytes - t->bytes) {
        return "the archive expands to more than the limit (--max-bytes raises it)";
    }
    if (++t->files > t->policy.max_files) {
        return "the archive has more entries than the limit (--max-files raises it)";
    }
    t->bytes += e->size;
    return NULL;
}

static const char *tar_take(struct tar *t, struct archive_entry *a, struct entry *e)
{
    e->link = NULL;
    e->path = t->path;
    e->mtime = (struct timespec){archive_entry_mtime(a), archive_entry_mtime_nsec(a)};
    const char *why = name_normal(archive_entry_pathname(a), t->path, sizeof t->path);
    if (why == NULL) {
        why = tar_take_type(t, a, e);
    }
    if (why == NULL && !t->path[0] && e->type != ENTRY_DIR) {
        why = "the name is that of the top directory";
    }
    if (why == NULL) {
        why = tar_take_mode(a, e);
    }
    return why != NULL ? why : tar_take_size(t, a, e);
}

static int tar_open_stream(struct tar *t, struct error *err)
{
    t->opened = true;
    if (archive_read_open(t->archive, t, NULL, tar_read_block, NULL) != ARCHIVE_OK) {
        return tar_fail(t, err, NULL);
    }
    return 0;
}

/* Reads what follows the end of the tar, too, and drops it: the source compares checksums only when
 * it reaches its end. */
static int tar_finish_stream(struct tar *t, struct error *err)
{
    const uint8_t *block;
    ssize_t n;
    while ((n = t->next(t->context, &block, &t->source)) > 0) {
        t->stream += (uint64_t)n;
    }
    if (n < 0) {
        return tar_fail(t, err, NULL);
    }
    return t->stream % 512 ? error_set(err, NULL, "the archive is cut off within a block") : 0;
}

/* libarchive warns of a name that is not UTF-8 although its header says so. The name is used as the
 * bytes that it is. */
static bool tar_is_charset_warning(struct archive *a)
{
    const char *why = archive_error_string(a);
    return why != NULL && strstr(why, "can't be converted") != NULL;
}

int tar_next(struct tar *t, struct entry *e, struct error *err)
{
    struct archive_entry *a;
    if (!t->opened && tar_open_stream(t, err) < 0) {
        return -1;
    }
    int r = archive_read_next_header(t->archive, &a);
    if (r == ARCHIVE_EOF && !t->source.set) {
        return tar_finish_stream(t, err);
    }
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
        return tar_fail(t, err, NULL);
    }
    const char *raw = archive_entry_pathname(a);
    const char *why = tar_take(t, a, e);
    if (why != NULL) {
        return error_set(err, raw, "%s", why);
    }
    if (r == ARCHIVE_WARN && !tar_is_charset_warning(t->archive)) {
        return tar_fail(t, err, raw);
    }
    t->offset = 0;
    return 1;
}

ssize_t tar_data(struct tar *t, const uint8_t **data, uint64_t *offset, struct error *err)
{
    size_t n;
    la_int64_t at;
    int r = archive_read_data_block(t->archive, (const void **)data, &n, &at);
    if (r == ARCHIVE_EOF) {
        return 0;
    }
    if (r != ARCHIVE_OK) {
        return tar_fail(t, err, t->path);
    }
    *offset = (uint64_t)at;
    return n ? (ssize_t)n : tar_data(t, data, offset, err);
}
