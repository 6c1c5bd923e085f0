#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "manifest/verify.h"
#include "stage/place.h"
#include "stage/trust.h"

struct printing {
    const char *node;
    int left;
};

static void print(void *context, const struct fault *f)
{
    struct printing *p = context;
    if (p->left-- > 0)
        complain(p->node, f);
}

static void verify_node(const struct settings *s, const struct nodes *n, struct fault *f)
{
    struct printing p = {n->n > 1 ? n->name : NULL, 20};
    struct verify v = {.contents = true, .report = print, .context = &p};
    struct place_label label;
    struct fault first = {0};
    const char *dir = s->words[0];
    int top = trust_open_tree(dir, f);
    if (top < 0)
        return;
    if (!place_read_label(top, &label))
        fault_set(f, dir, "it was not made by `stage`");
    else if (verify_tree(top, &v, &first) < 0 && v.wrong)
        fault_set(f, dir, "%" PRIu64 " of %" PRIu64 " entries differ from the manifest", v.wrong,
                  v.files);
    else if (first.set)
        fault_set(f, dir, "%s", first.reason);
    else if (!s->quiet && n->leader == 0)
        printf("%s: %" PRIu64 " entries, %.1f MiB: as staged\n", dir, v.files,
               (double)v.bytes / 1048576);
    close(top);
}

int command_verify(const struct settings *s)
{
    return on_every_node(s, verify_node);
}
