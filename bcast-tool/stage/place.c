#include "stage/place.h"

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

/* DIR as an absolute normal path, split into parent and last component. */
static int split(struct place *p, const char *dir, struct fault *f)
{
    char cwd[PATH_MAX] = "", normal[PATH_MAX];
    if (dir[0] != '/' && !getcwd(cwd, sizeof cwd))
        return fault_errno(f, dir, "cannot tell the current directory");
    char *absolute = io_format("%s/%s", cwd, dir);
    const char *why = name_normal(absolute + strspn(absolute, "/"), normal, sizeof normal - 1);
    free(absolute);
    if (why && strcmp(why, "the entry has no name") != 0)
        return fault_set(f, dir, "it cannot be the destination: %s", why);
    if (why || !normal[0])
        return fault_set(f, dir, "the root directory cannot be the destination");
    char *slash = strrchr(normal, '/');
    const char *base = slash ? slash + 1 : normal;
    if (strlen(base) > NAME_MAX - 32)
        return fault_set(f, dir, "its name is too long");
    snprintf(p->dir, sizeof p->dir, "/%.*s", PATH_MAX - 2, normal);
    snprintf(p->base, sizeof p->base, "%.255s", base);
    snprintf(p->parent, sizeof p->parent, "/%.*s", slash ? (int)(slash - normal) : 0, normal);
    return 0;
}

int place_open(struct place *p, const char *dir, struct fault *f)
{
    *p = (struct place){.parent_fd = -1, .partial_fd = -1, .mark_fd = -1, .old_mark_fd = -1};
    if (split(p, dir, f) < 0)
        return -1;
    p->parent_fd = trust_open(p->parent, f);
    return p->parent_fd < 0 ? -1 : 0;
}

struct place_id place_id(const struct place *p)
{
    struct stat st;
    if (p->parent_fd < 0 || fstat(p->parent_fd, &st) < 0)
        return (struct place_id){nodes_machine(), 0, 0};
    return (struct place_id){nodes_machine(), st.st_dev, st.st_ino};
}

int place_begin(struct place *p, const char *name, const char *token, struct fault *f)
{
    if (mkdirat(p->parent_fd, name, 0700) < 0)
        return fault_errno(f, p->parent, "cannot write there");
    snprintf(p->partial, sizeof p->partial, "%s", name);
    p->partial_fd = openat(p->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (p->partial_fd < 0)
        return fault_errno(f, p->parent, "cannot open the partial directory");
    p->mark_fd = partial_mark(p->partial_fd, token);
    if (p->mark_fd < 0)
        return fault_errno(f, p->parent, "cannot lock the partial directory");
    if (!partial_claim(p->parent_fd, p->base, p->partial, token))
        return fault_set(f, p->dir, "another job is staging into it");
    return partial_remove_dead(p->parent_fd, p->base, f);
}

bool place_read_label(int top, struct place_label *label)
{
    char line[512];
    struct stat st;
    *label = (struct place_label){0};
    int fd = openat(top, NAME_STATE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return false;
    }
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    bool ours = in && fgets(line, sizeof line, in) && strcmp(line, MAGIC "\n") == 0;
    while (ours && label->n < 16 && fgets(line, sizeof line, in))
        label->n += sscanf(line, "archive %16" SCNx64 " %255[^\n]", &label->archive[label->n].id,
                           label->archive[label->n].name) == 2;
    if (in)
        fclose(in);
    return ours;
}

static int write_label(int top, const struct place_label *label, struct fault *f)
{
    int fd = openat(top, NAME_STATE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        return fault_errno(f, NAME_STATE, "cannot create");
    fputs(MAGIC "\n", out);
    for (int i = 0; i < label->n; i++)
        fprintf(out, "archive %016" PRIx64 " %s\n", label->archive[i].id, label->archive[i].name);
    return fclose(out) != 0 ? fault_errno(f, NAME_STATE, "cannot write") : 0;
}

static bool same_label(const struct place_label *a, const struct place_label *b)
{
    for (int i = 0; i < a->n && i < b->n; i++)
        if (a->archive[i].id != b->archive[i].id)
            return false;
    return a->n == b->n;
}

static enum place_state look_inside(const struct place *p, int top, const struct place_label *label,
                                    struct fault *f)
{
    struct place_label there;
    struct fault difference = {0};
    struct verify quick = {0};
    if (trust_tree(top, p->dir, f) < 0)
        return PLACE_ALIEN;
    if (!place_read_label(top, &there)) {
        fault_set(f, p->dir,
                  "it exists and was not made by `stage`; choose another DIR or remove it");
        return PLACE_ALIEN;
    }
    if (!same_label(&there, label)) {
        fault_set(f, p->dir, "it holds another staged environment (%s); --force replaces it",
                  there.n ? there.archive[0].name : "unknown");
        return PLACE_OTHER;
    }
    if (verify_tree(top, &quick, &difference) < 0) {
        fault_set(f, p->dir,
                  "it was staged from this archive but has changed since (%s: %s); --force "
                  "replaces it",
                  difference.path, difference.reason);
        return PLACE_OTHER;
    }
    return PLACE_SAME;
}

enum place_state place_state(struct place *p, const struct place_label *label, struct fault *f)
{
    struct stat st;
    if (fstatat(p->parent_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return PLACE_EMPTY;
    p->replaces = true;
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        fault_set(f, p->dir, "it exists and is not a directory of `stage`");
        return PLACE_ALIEN;
    }
    enum place_state s = look_inside(p, top, label, f);
    close(top);
    return s;
}

int place_space(const struct place *p, uint64_t bytes, uint64_t files, struct fault *f)
{
    struct statvfs v;
    if (fstatvfs(p->parent_fd, &v) < 0)
        return fault_errno(f, p->parent, "cannot tell the free space");
    uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    if (bytes > free_bytes)
        return fault_set(f, p->parent, "not enough space: %.1f MiB needed, %.1f MiB free",
                         (double)bytes / 1048576, (double)free_bytes / 1048576);
    if (v.f_files && files > v.f_favail)
        return fault_set(f, p->parent, "not enough inodes: %" PRIu64 " needed, %" PRIu64 " free",
                         files, (uint64_t)v.f_favail);
    return 0;
}

static int swap(struct place *p, unsigned flags)
{
    return renameat2(p->parent_fd, p->partial, p->parent_fd, p->base, flags);
}

/* What is replaced will have the partial name, and if this job dies it must be known as left over.
 */
static int mark_old(struct place *p, struct fault *f)
{
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return fault_errno(f, p->dir, "cannot open");
    int r = trust_tree(top, p->dir, f);
    if (r == 0 && (p->old_mark_fd = partial_mark(top, "")) < 0)
        r = fault_errno(f, p->dir, "cannot lock it");
    close(top);
    return r;
}

/* DIR's own mark. */
static void unmark(const struct place *p)
{
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top >= 0) {
        unlinkat(top, NAME_MARK, 0);
        close(top);
    }
}

/* What was not there when the job began is not replaced: another has put it there. */
int place_commit(struct place *p, const struct place_label *label, struct fault *f)
{
    if (write_label(p->partial_fd, label, f) < 0 || (p->replaces && mark_old(p, f) < 0))
        return -1;
    if (swap(p, p->replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0)
        return fault_errno(f, p->dir, "cannot rename the partial copy into place");
    p->committed = true;
    return 0;
}

void place_rollback(struct place *p)
{
    if (p->committed && p->replaces)
        swap(p, RENAME_EXCHANGE);
    else if (p->committed)
        renameat2(p->parent_fd, p->base, p->parent_fd, p->partial, RENAME_NOREPLACE);
    p->committed = false;
    if (p->old_mark_fd >= 0)
        unmark(p);
}

/* After an exchange, the partial name holds what was replaced. */
void place_finish(struct place *p)
{
    struct fault ignored = {0};
    unmark(p);
    if (p->committed && p->replaces)
        partial_remove(p->parent_fd, p->partial, &ignored);
    p->partial[0] = '\0';
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void place_close(struct place *p)
{
    struct fault ignored = {0};
    if (p->partial[0])
        partial_remove(p->parent_fd, p->partial, &ignored);
    close_if_open(p->mark_fd);
    close_if_open(p->old_mark_fd);
    close_if_open(p->partial_fd);
    close_if_open(p->parent_fd);
    *p = (struct place){.parent_fd = -1, .partial_fd = -1, .mark_fd = -1, .old_mark_fd = -1};
}
