/* SPDX-License-Identifier: BSD-3-Clause */
/* Directory streams and the working directory. The order of names is the file system's own affair,
 * so sets are compared; what a stream shows of changes made after it was opened is unspecified, so
 * it is not. */
#include "tests/conformance/differential/sequence.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool unchanged(const struct sequence *s, unsigned slot)
{
    return s->dir_born[slot] == s->changes;
}

static void calls_dir_keep(struct sequence *s, unsigned slot, DIR *d)
{
    if (s->dirs[slot]) {
        closedir(s->dirs[slot]);
    }
    s->dirs[slot] = d;
    s->dir_born[slot] = s->changes;
}

static void run_opendir(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    const char *path = arg_path(s, r);
    if (!path || path == BAD_PATH) {
        return; /* glibc itself reads it */
    }
    DIR *d = TRY(opendir(path));
    tr_ptr(d, "stream %u: opendir(%s)", slot, tr_q(path));
    if (d) {
        calls_dir_keep(s, slot, d);
    }
}

static void run_fdopendir(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r), from = arg_slot(r);
    DIR *d = TRY(fdopendir(s->fds[from]));
    tr_ptr(d, "stream %u: fdopendir slot %u", slot, from);
    if (!d) {
        return;
    }
    tr_line("    dirfd the same: %d", dirfd(d) == s->fds[from]);
    s->fds[from] = -1; /* the stream's now */
    shadow_close(s, (int)from);
    calls_dir_keep(s, slot, d);
    s->dir_born[slot]--; /* its offset may be anywhere: only a rewind makes it comparable */
}

static void show_rest(DIR *d, bool wide)
{
    if (wide) {
        const struct dirent64 *e;
        while ((e = TRY(readdir64(d)))) {
            tr_name_add(e->d_name, e->d_ino, e->d_type);
        }
    } else {
        const struct dirent *e;
        while ((e = TRY(readdir(d)))) {
            tr_name_add(e->d_name, e->d_ino, e->d_type);
        }
    }
    tr_line("    ends with %s", tr_errno(errno));
    tr_names_in(dirfd(d), "");
    tr_names("names");
}

static void run_list(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    if (!s->dirs[slot]) {
        return;
    }
    tr_line("list stream %u", slot);
    rewinddir(s->dirs[slot]);
    s->dir_born[slot] = s->changes;
    show_rest(s->dirs[slot], rng_percent(r, 50));
}

/* Reads up to n names and tells how many there were, and a sum that does not depend on their order.
 */
static unsigned calls_dir_read_some(DIR *d, unsigned n, uint64_t *sum)
{
    const struct dirent *e;
    unsigned i = 0;
    *sum = 0;
    for (; i < n && (e = readdir(d)); i++) {
        *sum += tr_hash(e->d_name, strlen(e->d_name));
    }
    return i;
}

static void run_seekdir(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r), some = rng_below(r, 6);
    uint64_t once, twice, skip;
    DIR *d = s->dirs[slot];
    if (!d || !unchanged(s, slot)) {
        return;
    }
    rewinddir(d);
    unsigned first = calls_dir_read_some(d, some, &skip);
    long at = telldir(d);
    unsigned rest = calls_dir_read_some(d, 10000, &once);
    seekdir(d, at);
    unsigned again = calls_dir_read_some(d, 10000, &twice);
    tr_line("seekdir stream %u: %u + %u, then %u, %s", slot, first, rest, again,
            once == twice ? "the same" : "others");
}

static void run_dirfd(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    struct stat st;
    if (!s->dirs[slot]) {
        return;
    }
    int fd = dirfd(s->dirs[slot]);
    int ret = TRY(fstat(fd, &st));
    tr_ret(ret, "fstat of stream %u", slot);
    if (ret == 0) {
        tr_stat(&st);
    }
    const char *path = arg_path(s, r);
    ret = TRY(fstatat(fd, path, &st, 0));
    tr_ret(ret, "    fstatat(%s)", tr_q(path));
    if (ret == 0) {
        tr_stat(&st);
    }
}

static void run_closedir(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    if (!s->dirs[slot]) {
        return;
    }
    tr_ret(TRY(closedir(s->dirs[slot])), "closedir stream %u", slot);
    s->dirs[slot] = NULL;
}

static void run_scandir(struct sequence *s, struct rng *r)
{
    struct where w = arg_where(s, r);
    const char *path = arg_path(s, r);
    struct dirent **e = NULL;
    if (!path || path == BAD_PATH) {
        return;
    }
    bool at = rng_percent(r, 50);
    int n = at ? TRY(scandirat(w.fd, path, &e, NULL, alphasort))
               : TRY(scandir(path, &e, NULL, alphasort));
    if (n >= 0) {
        errno = 0; /* compared after failures only */
    }
    tr_ret(n, "scandir(%s, %s)", at ? w.label : "", tr_q(path));
    for (int i = 0; i < n; i++) {
        tr_name_add(e[i]->d_name, e[i]->d_ino, e[i]->d_type);
        free(e[i]);
    }
    if (n >= 0) {
        tr_names_in(at ? w.fd : AT_FDCWD, path);
        tr_names("names");
        free(e);
    }
}

static void show_cwd(void)
{
    char *cwd = getcwd(NULL, 0);
    tr_line("    getcwd %s", tr_q(cwd));
    free(cwd);
}

static void run_chdir(struct sequence *s, struct rng *r)
{
    const char *path = rng_percent(r, 40) ? s->plan.root : arg_path(s, r);
    if (!shadow_permits(s, CWD_SLOT, path)) { /* stay where the names of the plan are */
        return;
    }
    int ret = TRY(chdir(path));
    tr_ret(ret, "chdir(%s)", tr_q(path));
    if (ret != 0) {
        return;
    }
    shadow_open(s, CWD_SLOT, CWD_SLOT, path, false);
    show_cwd();
}

static void run_fchdir(struct sequence *s, struct rng *r)
{
    unsigned slot = arg_slot(r);
    if (!shadow_permits_slot(s, (int)slot)) {
        return;
    }
    int ret = TRY(fchdir(s->fds[slot]));
    tr_ret(ret, "fchdir slot %u", slot);
    if (ret != 0) {
        return;
    }
    shadow_copy(s, CWD_SLOT, (int)slot);
    show_cwd();
}

const struct call calls_dir[] = {
    {"opendir", 40, run_opendir}, {"fdopendir", 20, run_fdopendir},
    {"list", 40, run_list},       {"seekdir", 15, run_seekdir},
    {"dirfd", 15, run_dirfd},     {"closedir", 10, run_closedir},
    {"scandir", 25, run_scandir}, {"chdir", 15, run_chdir},
    {"fchdir", 10, run_fchdir},   {NULL, 0, NULL},
};
