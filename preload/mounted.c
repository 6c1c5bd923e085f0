/* mounted.c - see mounted.h */
#include "mounted.h"

#include <stdlib.h>

#include "base/log.h"
#include "mounts.h"

void mounted_look(const struct policy *p, struct mounted *out)
{
    char *mountinfo = mounts_read();

    *out = (struct mounted){0};
    for (size_t i = 0; mountinfo != NULL && i < p->n_roots; i++) {
        if (p->roots[i].scope != ROOT_EXCLUDE) {
            out->roots[i].same_node = mounts_identity(mountinfo, p->roots[i].path, true);
            out->roots[i].other_node = mounts_identity(mountinfo, p->roots[i].path, false);
        }
    }
    free(mountinfo);
}

static bool differ(uint64_t a, uint64_t b)
{
    return a != 0 && b != 0 && a != b;
}

int mounted_exclude(struct policy *p, const struct mounted *theirs, bool same_node)
{
    char *mountinfo = mounts_read();
    int n = 0;

    for (size_t i = 0; mountinfo != NULL && i < p->n_roots; i++) {
        struct policy_root *r = &p->roots[i];
        uint64_t other = same_node ? theirs->roots[i].same_node : theirs->roots[i].other_node;

        if (differ(other, mounts_identity(mountinfo, r->path, same_node))) {
            fi_log(LOG_INFO, "%s is another directory here than in the root: left alone", r->path);
            r->scope = ROOT_EXCLUDE; /* also what lies below it in another root */
            n++;
        }
    }
    free(mountinfo);
    return n;
}
