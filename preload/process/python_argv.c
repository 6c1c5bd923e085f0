/* SPDX-License-Identifier: BSD-3-Clause */
/* python_argv.c - see python_argv.h */
#include "process/python_argv.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct command {
    char kind;        /* 'c' (-c), 'm' (-m), 's' (a script) or 0 (none of these) */
    const char *text; /* code, module or script */
};

/* cluster: short options behind one dash, such as Ic. The first letter that takes a value, or 0.
 * *rest: the value if it is in the same word, else NULL. */
static char option_with_value(const char *cluster, const char **rest)
{
    for (const char *p = cluster; *p != '\0'; p++) {
        if (strchr("cmWX", *p) != NULL) {
            *rest = p[1] == '\0' ? NULL : p + 1;
            return *p;
        }
    }
    return 0;
}

static struct command python_argv_parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        const char *rest = NULL;
        char letter;

        if (a[0] != '-') {
            return (struct command){'s', a};
        }
        if (a[1] == '\0' || strcmp(a, "--") == 0) {
            break;
        }
        if (a[1] == '-') {
            i += strcmp(a, "--check-hash-based-pycs") == 0;
            continue;
        }
        letter = option_with_value(a + 1, &rest);
        if (letter != 0 && rest == NULL) {
            rest = ++i < argc ? argv[i] : "";
        }
        if (letter == 'c' || letter == 'm') {
            return (struct command){letter, rest};
        }
    }
    return (struct command){0, ""};
}

const char *python_argv_script(int argc, char **argv)
{
    struct command c = python_argv_parse(argc, argv);

    return c.kind == 's' ? c.text : NULL;
}

void python_argv_describe(int argc, char **argv, char *out, unsigned long size)
{
    struct command c = python_argv_parse(argc, argv);

    if (c.kind == 'c' || c.kind == 'm') {
        snprintf(out, size, "-%c %s", c.kind, c.text);
    } else {
        snprintf(out, size, "%s", c.text);
    }
}
