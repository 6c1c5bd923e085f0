/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "cli/commands.h"
#include "stage/clean.h"

static void cli_clean_node(const struct settings *s, const struct nodes *n, struct error *err)
{
    (void)n;
    clean_destination(s->words[0], s->force, err);
}

int command_clean(const struct settings *s)
{
    return cli_on_every_node(s, cli_clean_node);
}
