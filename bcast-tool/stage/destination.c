/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"
#include "manifest/verify.h"
#include "stage/trust.h"

#define MAGIC "python-mpi-bcast-state 1"

/* Makes DIR absolute and normal, and splits it into its parent and its last component. */
static int destination_split(struct destination *p, const char *dir, struct error *err)
{
    char cwd[PATH_MAX] = "", normal[PATH_MAX];
    if (dir[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        return error_set_errno(err, dir, "cannot find out the current directory");
    }
    char *absolute = io_format("%s/%s", cwd, dir);
    const char *why = name_normal(absolute + strspn(absolute, "/"), normal, sizeof normal - 1);
    free(absolute);
    if (why != NULL && strcmp(why, "the entry has no name") != 0) {
        return error_set(err, dir, "it cannot be the destination: %s", why);
    }
    if (why != NULL || !normal[0]) {
        return error_set(err, dir, "the root directory cannot be the destination");
    }
    char *slash = strrchr(normal, '/');
    const char *base = slash != NULL ? slash + 1 : normal;
    if (strlen(base) > NAME_MAX - 32) {
        return error_set(err, dir, "its name is too long");
    }
    snprintf(p->dir, sizeof p->dir, "/%.*s", PATH_MAX - 2, normal);
    snprintf(p->base, sizeof p->base, "%.255s", base);
    snprintf(p->parent, sizeof p->parent, "/%.*s", slash != NULL ? (int)(slash - normal) : 0,
             normal);
    return 0;
}

int destination_open(struct destination *p, const char *dir, struct error *err)
{
    *p = (struct destination){.parent_fd = -1, .partial_fd = -1, .mark_fd = -1, .old_mark_fd = -1};
    if (destination_split(p, dir, err) < 0) {
        return -1;
    }
    p->parent_fd = trust_open(p->parent, err);
    return p->parent_fd < 0 ? -1 : 0;
}

struct destination_id destination_id(const struct destination *p)
{
    struct stat st;
    if (p->parent_fd < 0 || fstat(p->parent_fd, &st) < 0) {
        return (struct destination_id){nodes_machine(), 0, 0};
    }
    return (struct destination_id){nodes_machine(), st.st_dev, st.st_ino};
}

int destination_begin(struct destination *p, const char *name, const char *token, struct error *err)
{
    if (mkdirat(p->parent_fd, name, 0700) < 0) {
        return error_set_errno(err, p->parent, "cannot write there");
    }
    memccpy(p->partial, name, 0, sizeof p->partial - 1); /* the field was zeroed */
    p->partial_fd = openat(p->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (p->partial_fd < 0) {
        return error_set_errno(err, p->parent, "cannot open the partial directory");
    }
    p->mark_fd = partial_mark(p->partial_fd, token);
    if (p->mark_fd < 0) {
        return error_set_errno(err, p->parent, "cannot lock the partial directory");
    }
    if (!partial_claim(p->parent_fd, p->base, p->partial, token)) {
        return error_set(err, p->dir, "another job is staging into it");
    }
    return partial_remove_dead(p->parent_fd, p->base, err);
}

bool destination_read_label(int top, struct destination_label *label)
{
    char line[512];
    struct stat st;
    *label = (struct destination_label){0};
    int fd = openat(top, NAME_STATE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return false;
    }
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    bool ours = in != NULL && fgets(line, sizeof line, in) != NULL && strcmp(line, MAGIC "\n") == 0;
    while (ours && label->n < 16 && fgets(line, sizeof line, in) != NULL) {
        label->n += sscanf(line, "archive %16" SCNx64 " %255[^\n]", &label->archive[label->n].id,
                           label->archive[label->n].name) == 2;
    }
    if (in != NULL) {
        fclose(in);
    }
    return ours;
}

static int destination_write_label(int top, const struct destination_label *label,
                                   struct error *err)
{
    int fd = openat(top, NAME_STATE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (out == NULL) {
        return error_set_errno(err, NAME_STATE, "cannot create");
    }
    fputs(MAGIC "\n", out);
    for (int i = 0; i < label->n; i++) {
        fprintf(out, "archive %016" PRIx64 " %s\n", label->archive[i].id, label->archive[i].name);
    }
    return fclose(out) != 0 ? error_set_errno(err, NAME_STATE, "cannot write") : 0;
}

static bool destination_same_label(const struct destination_label *a,
                                   const struct destination_label *b)
{
    for (int i = 0; i < a->n && i < b->n; i++) {
        if (a->archive[i].id != b->archive[i].id) {
            return false;
        }
    }
    return a->n == b->n;
}

static enum destination_state destination_look_inside(const struct destination *p, int top,
                                                      const struct destination_label *label,
                                                      struct error *err)
{
    struct destination_label there;
    struct error difference = {0};
    struct verify quick = {0};
    if (trust_tree(top, p->dir, err) < 0) {
        return DESTINATION_ALIEN;
    }
    if (!destination_read_label(top, &there)) {
        error_set(err, p->dir,
                  "it exists and was not made by `stage`; choose another DIR or remove it");
        return DESTINATION_ALIEN;
    }
    if (!destination_same_label(&there, label)) {
        error_set(err, p->dir, "it holds another staged environment (%s); --force replaces it",
                  there.n ? there.archive[0].name : "unknown");
        return DESTINATION_OTHER;
    }
    if (verify_tree(top, &quick, &difference) < 0) {
        error_set(err, p->dir,
                  "it was staged from this archive but has changed since (%s: %s); --force "
                  "replaces it",
                  difference.path, difference.reason);
        return DESTINATION_OTHER;
    }
    return DESTINATION_SAME;
}

enum destination_state destination_state(struct destination *p,
                                         const struct destination_label *label, struct error *err)
{
    struct stat st;
    if (fstatat(p->parent_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
        return DESTINATION_EMPTY;
    }
    p->replaces = true;
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        error_set(err, p->dir, "it exists and is not a directory that `stage` made");
        return DESTINATION_ALIEN;
    }
    enum destination_state s = destination_look_inside(p, top, label, err);
    close(top);
    return s;
}

int destination_space(const struct destination *p, uint64_t bytes, uint64_t files,
                      struct error *err)
{
    struct statvfs v;
    if (fstatvfs(p->parent_fd, &v) < 0) {
        return error_set_errno(err, p->parent, "cannot find out the free space");
    }
    uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    if (bytes > free_bytes) {
        return error_set(err, p->parent, "not enough space: %.1f MiB needed, %.1f MiB free",
                         (double)bytes / 1048576, (double)free_bytes / 1048576);
    }
    if (v.f_files && files > v.f_favail) {
        return error_set(err, p->parent, "not enough inodes: %" PRIu64 " needed, %" PRIu64 " free",
                         files, (uint64_t)v.f_favail);
    }
    return 0;
}

static int destination_rename(struct destination *p, unsigned flags)
{
    return renameat2(p->parent_fd, p->partial, p->parent_fd, p->base, flags);
}

/* The tree that is replaced gets the partial copy's name. It is marked, so that a later job
 * recognises it if this job dies. */
static int destination_mark_old(struct destination *p, struct error *err)
{
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        return error_set_errno(err, p->dir, "cannot open");
    }
    int r = trust_tree(top, p->dir, err);
    if (r == 0 && (p->old_mark_fd = partial_mark(top, "")) < 0) {
        r = error_set_errno(err, p->dir, "cannot lock it");
    }
    close(top);
    return r;
}

/* Removes the mark of DIR, which is complete now. */
static void destination_unmark(const struct destination *p)
{
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top >= 0) {
        unlinkat(top, NAME_MARK, 0);
        close(top);
    }
}

/* A DIR that did not exist when the job began is not replaced: somebody else has made it since. */
int destination_commit(struct destination *p, const struct destination_label *label,
                       struct error *err)
{
    if (destination_write_label(p->partial_fd, label, err) < 0 ||
        (p->replaces && destination_mark_old(p, err) < 0)) {
        return -1;
    }
    if (destination_rename(p, p->replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0) {
        return error_set_errno(err, p->dir, "cannot rename the partial copy into place");
    }
    p->committed = true;
    return 0;
}

void destination_rollback(struct destination *p)
{
    if (p->committed && p->replaces) {
        destination_rename(p, RENAME_EXCHANGE);
    } else if (p->committed) {
        renameat2(p->parent_fd, p->base, p->parent_fd, p->partial, RENAME_NOREPLACE);
    }
    p->committed = false;
    if (p->old_mark_fd >= 0) {
        destination_unmark(p);
    }
}

/* After the exchange the partial copy's name is that of the old tree. */
void destination_finish(struct destination *p)
{
    struct error ignored = {0};
    destination_unmark(p);
    if (p->committed && p->replaces) {
        partial_remove(p->parent_fd, p->partial, &ignored);
    }
    p->partial[0] = '\0';
}

static void destination_close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void destination_close(struct destination *p)
{
    struct error ignored = {0};
    if (p->partial[0]) {
        partial_remove(p->parent_fd, p->partial, &ignored);
    }
    destination_close_fd(p->mark_fd);
    destination_close_fd(p->old_mark_fd);
    destination_close_fd(p->partial_fd);
    destination_close_fd(p->parent_fd);
    *p = (struct destination){.parent_fd = -1, .partial_fd = -1, .mark_fd = -1, .old_mark_fd = -1};
}
