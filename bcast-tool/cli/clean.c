#include <stdio.h>

#include "cli/commands.h"
#include "stage/sweep.h"

static void clean_node(const struct settings *s, const struct nodes *n, struct fault *f)
{
    (void)n;
    sweep(s->words[0], s->force, f);
}

int command_clean(const struct settings *s)
{
    return on_every_node(s, clean_node);
}
