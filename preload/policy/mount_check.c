/* mount_check.c - see mount_check.h */
#include "policy/mount_check.h"

#include <stdlib.h>

#include "base/log.h"
#include "policy/mounts.h"

void mount_check_look(const struct policy *p, struct mount_check *out)
{
    char *mountinfo = mounts_read();

    *out = (struct mount_check){0};
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

int mount_check_exclude(struct policy *p, const struct mount_check *theirs, bool same_node)
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
