/* SPDX-License-Identifier: BSD-3-Clause */
/* partial.c - see partial.h */
#include "cache/partial.h"

#include <string.h>

#include "base/hash.h"

struct extents extents_of(const struct record *r)
{
    const struct record_content *c = r == NULL ? NULL : record_payload(r);

    if (c == NULL) {
        return (struct extents){NULL, 0};
    }
    return (struct extents){
        (const void *)((const char *)c + record_extents_offset(strlen(c->first))), c->n_extents};
}

uint64_t extents_version(const struct extents *extents, const struct stat *original)
{
    struct file_version file = file_version_of(original);

    return extents->n == 0 ? 0
                           : fi_hash(extents->list, extents->n * sizeof *extents->list,
                                     fi_hash(&file, sizeof file, 0)) |
                                 1;
}

uint64_t extents_version_of(const struct record *content)
{
    const struct record_content *c = content == NULL ? NULL : record_payload(content);
    struct extents extents;

    if (c == NULL || c->n_extents == 0) {
        return 0;
    }
    extents = extents_of(content);
    return extents_version(&extents, &c->st);
}
