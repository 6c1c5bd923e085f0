/* SPDX-License-Identifier: BSD-3-Clause */
/* json.h - what --json prints. */
#ifndef BCAST_CLI_JSON_H
#define BCAST_CLI_JSON_H

#include <jansson.h>

/* JSON is UTF-8, file names are bytes: in a name that is not UTF-8, bytes outside of ASCII become
 * \ooo. */
json_t *json_text(const char *text);

/* Prints `o` to stdout and releases it. */
void json_print(json_t *o);

#endif
