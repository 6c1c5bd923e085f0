/* What --json prints. */
#ifndef BCAST_CLI_JSON_H
#define BCAST_CLI_JSON_H

#include <jansson.h>

/* JSON is UTF-8, file names are bytes: those that are not UTF-8 come as \ooo. */
json_t *json_text(const char *text);

/* To stdout; `o` is released. */
void json_print(json_t *o);

#endif
