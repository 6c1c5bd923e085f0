/* SPDX-License-Identifier: BSD-3-Clause */
/* learnt.c - see learnt.h */
#include "fill/learnt.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct learnt {
    struct file_version file;
    struct extents touched;
};

static void *learnt_tree; /* of struct learnt, see tsearch(3) */

static int learnt_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct file_version));
}

void learnt_add(const struct file_version *file, struct extents touched)
{
    struct learnt *l = malloc(sizeof *l);
    void *node;

    if (l == NULL) {
        return;
    }
    *l = (struct learnt){*file, touched};
    node = tsearch(l, &learnt_tree, learnt_compare);
    if (node == NULL || *(struct learnt **)node != l) {
        free(l);
    }
}

struct extents learnt_find(const struct stat *st)
{
    struct learnt wanted = {.file = file_version_of(st)};
    struct extents unknown = {NULL, 0};
    void *node = tfind(&wanted, &learnt_tree, learnt_compare);

    return node == NULL ? unknown : (*(struct learnt **)node)->touched;
}
