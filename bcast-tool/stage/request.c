/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/request.h"

#include <stdio.h>
#include <string.h>

#include "archive/name.h"
#include "archive/source.h"
#include "manifest/manifest.h"

static ssize_t request_next_block(void *context, const uint8_t **block, struct error *err)
{
    return source_plain(context, block, err);
}

/* The first bytes of the manifest hold its head. */
static int request_take_head(struct request_archive *a, struct tar *t, struct error *err)
{
    const uint8_t *data;
    uint64_t offset;
    ssize_t n = tar_data(t, &data, &offset, err);
    if (n <= 0) {
        return error_set(err, NULL, "the archive's manifest is damaged");
    }
    FILE *in = fmemopen((void *)data, (size_t)n, "r");
    struct manifest_reader *m = in != NULL ? manifest_open(in, err) : NULL;
    if (m != NULL) {
        a->listed = true;
        a->files = manifest_head(m)->files;
        a->bytes = manifest_head(m)->bytes;
        a->environment = strcmp(manifest_head(m)->kind, "dir") != 0;
        manifest_close(m);
    }
    if (in != NULL) {
        fclose(in);
    }
    return m != NULL ? 0 : -1;
}

static int request_look(struct request_archive *a, struct source *s, struct error *err)
{
    struct entry e;
    struct tar_policy any = {UINT64_MAX, UINT64_MAX};
    struct tar *t = tar_open(request_next_block, s, &any);
    int got = tar_next(t, &e, err);
    if (got == 0) {
        error_set(err, NULL, "the archive holds nothing");
    } else if (got > 0 && strcmp(e.path, NAME_MANIFEST) == 0) {
        got = request_take_head(a, t, err) == 0 ? 1 : -1;
    }
    tar_close(t);
    return got > 0 ? 0 : -1;
}

static int request_describe_archive(struct request_archive *a, const char *path, uint64_t *id,
                                    struct error *err)
{
    struct error inner = {0};
    struct source *s = source_open_archive(path, 0, err);
    if (s == NULL) {
        return -1;
    }
    *a = (struct request_archive){.size = source_size(s), .framing = source_framing(s), .files = 1};
    a->bytes = a->size;
    snprintf(a->how, sizeof a->how, "%s",
             a->framing != FRAMING_NONE || source_sealed(s) ? framing_name(a->framing)
                                                            : FRAMING_UNLISTED);
    int r = source_archive_id(s, id, err);
    if (r == 0 && request_look(a, s, &inner) < 0) {
        r = error_set(err, inner.path[0] ? inner.path : path, "%s", inner.reason);
    }
    source_close(s);
    return r;
}

static const char *request_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

int request_describe(struct request *j, const char *const *paths, int n, struct error *err)
{
    if (n > REQUEST_ARCHIVES) {
        return error_set(err, NULL, "at most %d archives can be staged together", REQUEST_ARCHIVES);
    }
    j->n = j->label.n = n;
    for (int i = 0; i < n; i++) {
        if (request_describe_archive(&j->archive[i], paths[i], &j->label.archive[i].id, err) < 0) {
            return -1;
        }
        error_printable(j->label.archive[i].name, sizeof j->label.archive[i].name,
                        request_base_name(paths[i]));
    }
    return 0;
}
