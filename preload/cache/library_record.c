/* SPDX-License-Identifier: BSD-3-Clause */
/* library_record.c - see library_record.h */
#include "cache/library_record.h"

#include <stdio.h>
#include <string.h>

#include "base/path.h"

size_t library_record_key(char *out, size_t size, const char *name,
                          const struct library_caller *caller)
{
    const char *search = caller->runpath != NULL ? caller->runpath : caller->rpath;
    int n;

    if (strstr(caller->name, "//") != NULL || strchr(name, '\n') != NULL ||
        (caller->name[0] != '/' && caller->name[0] != '\0')) {
        return 0;
    }
    n = snprintf(out, size, "%s//%s\n%c%c%s", caller->name, name, caller->nodeflib ? 'n' : 'd',
                 caller->runpath != NULL ? 'U' : 'R', search == NULL ? "" : search);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

bool library_record_key_is_sound(const char *key, size_t length)
{
    const char *name = length >= FI_PATH_MAX ? NULL : memmem(key, length, "//", 2);
    const char *end = key + length;
    const char *search = name == NULL ? NULL : memchr(name, '\n', (size_t)(end - name));

    return search != NULL && (name == key || key[0] == '/') && search > name + 2 &&
           memchr(name + 2, '/', (size_t)(search - name - 2)) == NULL && end - search >= 3 &&
           memchr("nd", search[1], 2) != NULL && memchr("UR", search[2], 2) != NULL &&
           memchr(key, '\0', length) == NULL;
}

static const char *library_record_text(const struct record *r, size_t *at)
{
    const char *text = (const char *)record_payload(r) + *at;
    const char *end = memchr(text, '\0', r->payload_size - *at);

    if (end == NULL) {
        return NULL;
    }
    *at += (size_t)(end - text) + 1;
    return text;
}

bool library_record_next(const struct record *r, size_t *at, struct library_item *item)
{
    const char *text;

    if (*at >= r->payload_size) {
        return false;
    }
    text = library_record_text(r, at);
    item->soname = text == NULL || *at >= r->payload_size ? NULL : library_record_text(r, at);
    if (item->soname == NULL || text[0] == '\0' || *at >= r->payload_size) {
        return false;
    }
    item->bits = (unsigned)(text[0] - '@');
    item->path = text + 1;
    item->names = (const char *)record_payload(r) + *at;
    do {
        text = *at < r->payload_size ? library_record_text(r, at) : NULL;
    } while (text != NULL && text[0] != '\0');
    return text != NULL;
}
