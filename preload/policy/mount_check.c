/* SPDX-License-Identifier: BSD-3-Clause */
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
            out->roots[i] = mounts_identity(mountinfo, p->roots[i].path);
            out->devices[i] = mounts_device(mountinfo, p->roots[i].path);
        }
    }
    free(mountinfo);
}

static bool mount_check_differ(uint64_t a, uint64_t b)
{
    return a != 0 && b != 0 && a != b;
}

int mount_check_exclude(struct policy *p, const struct mount_check *theirs)
{
    char *mountinfo = mounts_read();
    int n = 0;

    for (size_t i = 0; mountinfo != NULL && i < p->n_roots; i++) {
        struct policy_root *r = &p->roots[i];

        if (mount_check_differ(theirs->roots[i], mounts_identity(mountinfo, r->path))) {
            fi_log(
                LOG_INFO,
                "%s is a different mount here than on the root rank: this rank does not serve it",
                r->path);
            r->scope = ROOT_EXCLUDE; /* also hides those roots that lie below it */
            n++;
        }
    }
    free(mountinfo);
    return n;
}

void mount_check_map(const struct policy *p, const struct mount_check *theirs,
                     struct device_map *out)
{
    char *mountinfo = mounts_read();

    out->n = 0;
    for (size_t i = 0; mountinfo != NULL && i < p->n_roots; i++) {
        uint64_t there = theirs->devices[i];
        uint64_t here = mounts_device(mountinfo, p->roots[i].path);

        if (there != 0 && here != 0 && there != here) {
            out->pairs[out->n].there = there;
            out->pairs[out->n++].here = here;
        }
    }
    free(mountinfo);
}
