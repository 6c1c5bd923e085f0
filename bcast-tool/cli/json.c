/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/json.h"

#include <limits.h>
#include <stdio.h>

json_t *json_text(const char *text)
{
    char ascii[4 * PATH_MAX + 1];
    size_t n = 0;
    json_t *whole = json_string(text);
    if (whole != NULL) {
        return whole;
    }
    for (; *text && n + 5 < sizeof ascii; text++) {
        n += (size_t)snprintf(ascii + n, 5, (unsigned char)*text < 0x80 ? "%c" : "\\%03o",
                              (unsigned char)*text);
    }
    ascii[n] = '\0';
    return json_string(ascii);
}

void json_print(json_t *o)
{
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}
