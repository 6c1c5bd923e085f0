/* SPDX-License-Identifier: BSD-3-Clause */
/* libraries.c - see libraries.h */
#include "report/libraries.h"

#include <stdlib.h>
#include <string.h>

static struct report_library *libraries_find(struct report_libraries *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->items[i].path, path) == 0) {
            return &l->items[i];
        }
    }
    return NULL;
}

static void libraries_add(struct report_libraries *l, const char *path, const char *why)
{
    struct report_library *known = libraries_find(l, path);
    struct report_library new = {NULL, NULL, 1};

    if (known != NULL) {
        known->nodes++;
        return;
    }
    if (l->n < REPORT_LIBRARIES) {
        new.path = strdup(path);
        new.why = strdup(why);
    }
    if (new.path == NULL || new.why == NULL) {
        free(new.path);
        free(new.why);
        l->omitted++;
        return;
    }
    l->items[l->n++] = new;
}

void report_libraries_add(struct report_libraries *l, const char *text, size_t size,
                          uint32_t omitted)
{
    const char *end = text + size;

    l->omitted += omitted;
    while (text < end) {
        const char *why = memchr(text, '\0', (size_t)(end - text));
        const char *next = why == NULL ? NULL : memchr(why + 1, '\0', (size_t)(end - why - 1));

        if (next == NULL) {
            return;
        }
        libraries_add(l, text, why + 1);
        text = next + 1;
    }
}

void report_libraries_free(struct report_libraries *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].path);
        free(l->items[i].why);
    }
    memset(l, 0, sizeof *l);
}
