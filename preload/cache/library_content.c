/* SPDX-License-Identifier: BSD-3-Clause */
/* library_content.c - see library_content.h */
#include "cache/library_content.h"

#include "base/path.h"

const struct record *library_content(const struct segment *segment, const char *path)
{
    struct fi_path name;
    struct fi_query q;

    if (!path_normalise(&name, "/", path) || !path_fold(&name, path_any_directory, NULL)) {
        return NULL;
    }
    q = query_make(RECORD_CONTENT, RECORD_MAPPED, name.text, name.length);
    return segment_find(segment, &q);
}
