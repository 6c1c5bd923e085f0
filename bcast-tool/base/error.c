/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t error_escape_byte(char out[5], unsigned char c)
{
    if (c >= 0x20 && c != 0x7f && c != '\\') {
        out[0] = (char)c;
        return 1;
    }
    return (size_t)snprintf(out, 5, "\\%03o", c);
}

void error_printable(char *out, size_t size, const char *text)
{
    size_t length = strlen(text), used = 0, room = size - 1;
    size_t head = length > room ? room / 2 - 2 : length; /* the end of a long path says most */
    for (size_t i = 0; i < length; i++) {
        char byte[5];
        if (i == head && length > room) {
            memcpy(out + used, "...", 3);
            used += 3;
            i = length - (room / 2 - 2);
        }
        size_t n = error_escape_byte(byte, (unsigned char)text[i]);
        if (used + n > room) {
            break;
        }
        memcpy(out + used, byte, n);
        used += n;
    }
    out[used] = '\0';
}

__attribute__((format(printf, 3, 0))) static int error_vset(struct error *err, const char *path,
                                                            const char *format, va_list args)
{
    char reason[sizeof err->reason];
    if (err->set) {
        return -1;
    }
    err->set = true;
    vsnprintf(reason, sizeof reason, format, args);
    error_printable(err->reason, sizeof err->reason, reason);
    error_printable(err->path, sizeof err->path, path != NULL ? path : "");
    return -1;
}

int error_set(struct error *err, const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_vset(err, path, format, args);
    va_end(args);
    return -1;
}

int error_set_errno(struct error *err, const char *path, const char *what)
{
    return error_set(err, path, "%s: %s", what, strerror(errno));
}

const char *error_text(const struct error *err, char *out, size_t size)
{
    if (err->path[0]) {
        snprintf(out, size, "%s: %s", err->path, err->reason);
    } else {
        snprintf(out, size, "%s", err->reason);
    }
    return out;
}
