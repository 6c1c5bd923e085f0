/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "manifest/verify.h"
#include "stage/destination.h"
#include "stage/trust.h"

struct printing {
    const char *node;
    int left;
};

static void verify_print(void *context, const struct error *err)
{
    struct printing *p = context;
    if (p->left-- > 0) {
        cli_complain(p->node, err);
    }
}

static void cli_verify_node(const struct settings *s, const struct nodes *n, struct error *err)
{
    struct printing p = {n->n > 1 ? n->name : NULL, 20};
    struct verify v = {.contents = true, .report = verify_print, .context = &p};
    struct destination_label label;
    struct error first = {0};
    const char *dir = s->words[0];
    int top = trust_open_tree(dir, err);
    if (top < 0) {
        return;
    }
    if (!destination_read_label(top, &label)) {
        error_set(err, dir, "it was not made by `stage`");
    } else if (verify_tree(top, &v, &first) < 0 && v.wrong) {
        error_set(err, dir, "%" PRIu64 " of %" PRIu64 " entries differ from the manifest", v.wrong,
                  v.files);
    } else if (first.set) {
        error_set(err, dir, "%s", first.reason);
    } else if (!s->quiet && n->leader == 0) {
        printf("%s: %" PRIu64 " entries, %.1f MiB: as staged\n", dir, v.files,
               (double)v.bytes / 1048576);
    }
    close(top);
}

int command_verify(const struct settings *s)
{
    return cli_on_every_node(s, cli_verify_node);
}
