/* SPDX-License-Identifier: BSD-3-Clause */
/* linkmap.c - see linkmap.h */
#include "ldso/linkmap.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "ldso/dynamic.h"

static void linkmap_find_span(const struct dl_phdr_info *info, struct linkmap_object *o)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        const char *at = (const char *)(info->dlpi_addr + h->p_vaddr);

        if (h->p_type == PT_LOAD) {
            o->begin = o->begin == NULL ? at : o->begin;
            o->end = at + h->p_memsz;
        }
    }
}

static struct linkmap_object linkmap_describe(const struct dl_phdr_info *info)
{
    struct linkmap_object o = {.name = info->dlpi_name == NULL ? "" : info->dlpi_name};
    struct dynamic dynamic;

    linkmap_find_span(info, &o);
    dynamic_read(info, &dynamic);
    if (dynamic.section == NULL || dynamic.strings == NULL) {
        return o;
    }
    for (const ElfW(Dyn) *entry = dynamic.section; entry->d_tag != DT_NULL; entry++) {
        const char *text = dynamic.strings + entry->d_un.d_val;

        switch (entry->d_tag) {
        case DT_SONAME:
            o.soname = text;
            break;
        case DT_RPATH:
            o.rpath = text;
            break;
        case DT_RUNPATH:
            o.runpath = text;
            break;
        case DT_FLAGS_1:
            o.nodeflib = (entry->d_un.d_val & DF_1_NODEFLIB) != 0;
            break;
        default:
            break;
        }
    }
    return o;
}

/* Copies the strings of the object into memory of their own. */
static bool keep_strings(struct linkmap_object *o)
{
    const char **texts[] = {&o->name, &o->soname, &o->rpath, &o->runpath};
    enum { TEXTS = sizeof texts / sizeof *texts };
    size_t size = 0;
    char *at;

    for (size_t i = 0; i < TEXTS; i++) {
        size += *texts[i] == NULL ? 0 : strlen(*texts[i]) + 1;
    }
    o->strings = at = malloc(size);
    if (at == NULL) {
        return false;
    }
    for (size_t i = 0; i < TEXTS; i++) {
        if (*texts[i] != NULL) {
            size_t n = strlen(*texts[i]) + 1;

            *texts[i] = memcpy(at, *texts[i], n);
            at += n;
        }
    }
    return true;
}

static int linkmap_collect(struct dl_phdr_info *info, size_t size, void *list_)
{
    struct linkmap_list *list = list_;

    (void)size;
    if ((list->n & (list->n + 1)) == 0) {
        struct linkmap_object *more = realloc(list->objects, (2 * list->n + 2) * sizeof *more);

        if (more == NULL) {
            return 1;
        }
        list->objects = more;
    }
    list->objects[list->n] = linkmap_describe(info);
    return keep_strings(&list->objects[list->n]) ? (list->n++, 0) : 1;
}

bool linkmap_all(struct linkmap_list *list)
{
    *list = (struct linkmap_list){0};
    if (dl_iterate_phdr(linkmap_collect, list) != 0) {
        linkmap_free(list);
        return false;
    }
    return true;
}

void linkmap_free(struct linkmap_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->objects[i].strings);
    }
    free(list->objects);
    *list = (struct linkmap_list){0};
}

bool linkmap_has(const struct linkmap_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct linkmap_object *o = &list->objects[i];

        if (strcmp(o->name, name) == 0 || (o->soname != NULL && strcmp(o->soname, name) == 0)) {
            return true;
        }
    }
    return false;
}

bool linkmap_has_path(const struct linkmap_list *list, const char *path)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->objects[i].name, path) == 0) {
            return true;
        }
    }
    return false;
}

const struct linkmap_object *linkmap_at(const struct linkmap_list *list, const void *address)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->objects[i].begin <= (const char *)address &&
            (const char *)address < list->objects[i].end) {
            return &list->objects[i];
        }
    }
    return NULL;
}

bool linkmap_beside(const char *name, char *out, size_t size)
{
    Dl_info us;
    size_t n;

    if (dladdr((void *)linkmap_beside, &us) == 0 || us.dli_fname == NULL) {
        return false;
    }
    n = path_parent_length(us.dli_fname, strlen(us.dli_fname));
    return (size_t)snprintf(out, size, "%.*s/%s", (int)n, us.dli_fname, name) < size;
}
