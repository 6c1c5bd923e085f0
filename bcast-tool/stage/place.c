#include "stage/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"
#include "manifest/verify.h"
#include "tree/tree.h"

#define STATE NAME_OWN "/state"
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
    *p = (struct place){.parent_fd = -1, .lock_fd = -1, .partial_fd = -1};
    if (split(p, dir, f) < 0)
        return -1;
    p->parent_fd = open(p->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return p->parent_fd < 0 ? fault_errno(f, p->parent, "cannot open the destination's directory")
                            : 0;
}

struct place_id place_id(const struct place *p)
{
    struct stat st;
    if (p->parent_fd < 0 || fstat(p->parent_fd, &st) < 0)
        return (struct place_id){nodes_machine(), 0, 0};
    return (struct place_id){nodes_machine(), st.st_dev, st.st_ino};
}

static void lock_name(const struct place *p, char out[300])
{
    snprintf(out, 300, "%s.partial-lock", p->base);
}

/* Locks the lock file, if it is still the one of that name. 1, 0 to try again, -1. */
static int try_lock(struct place *p, const char *name, struct fault *f)
{
    struct stat here, there;
    p->lock_fd = openat(p->parent_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->lock_fd < 0)
        return fault_errno(f, p->parent, "cannot write there");
    if (flock(p->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return fault_set(f, p->dir, "another job is staging into it");
    if (fstat(p->lock_fd, &here) == 0 &&
        fstatat(p->parent_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        here.st_ino == there.st_ino)
        return 1;
    close(p->lock_fd);
    p->lock_fd = -1;
    return 0;
}

/* Partial copies of jobs that died: whoever holds the lock owns them all. */
static int remove_stale(struct place *p, struct fault *f)
{
    char start[300], lock[300];
    struct dirent *e;
    int r = 0, n = snprintf(start, sizeof start, "%s.partial-", p->base);
    lock_name(p, lock);
    DIR *d = fdopendir(openat(p->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, start, (size_t)n) == 0 && strcmp(e->d_name, lock) != 0 &&
            tree_remove(p->parent_fd, e->d_name, f) < 0)
            r = -1;
    if (d)
        closedir(d);
    return r;
}

int place_lock(struct place *p, struct fault *f)
{
    char name[300];
    int got = 0;
    lock_name(p, name);
    for (int i = 0; i < 10 && got == 0; i++)
        got = try_lock(p, name, f);
    if (got == 0)
        return fault_set(f, p->dir, "another job is staging into it");
    return got < 0 ? -1 : remove_stale(p, f);
}

bool place_read_label(int top, struct place_label *label)
{
    char line[512];
    int fd = openat(top, STATE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    *label = (struct place_label){0};
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
    int fd = openat(top, STATE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        return fault_errno(f, STATE, "cannot create");
    fputs(MAGIC "\n", out);
    for (int i = 0; i < label->n; i++)
        fprintf(out, "archive %016" PRIx64 " %s\n", label->archive[i].id, label->archive[i].name);
    return fclose(out) != 0 ? fault_errno(f, STATE, "cannot write") : 0;
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

enum place_state place_state(const struct place *p, const struct place_label *label,
                             struct fault *f)
{
    struct stat st;
    if (fstatat(p->parent_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return PLACE_EMPTY;
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

void place_new_name(const struct place *p, char out[300])
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        number = (uint64_t)(io_now() * 1e9) ^ (uint64_t)getpid();
    snprintf(out, 300, "%s.partial-%012" PRIx64, p->base, number & 0xffffffffffff);
}

int place_begin(struct place *p, const char *name, struct fault *f)
{
    char partial[sizeof p->partial];
    snprintf(partial, sizeof partial, "%s", name);
    if (mkdirat(p->parent_fd, partial, 0700) < 0)
        return fault_errno(f, p->parent, "cannot make the partial directory");
    memcpy(p->partial, partial, sizeof partial);
    p->partial_fd = openat(p->parent_fd, partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return p->partial_fd < 0 ? fault_errno(f, p->parent, "cannot open the partial directory") : 0;
}

static int swap(struct place *p, unsigned flags)
{
    return renameat2(p->parent_fd, p->partial, p->parent_fd, p->base, flags);
}

int place_commit(struct place *p, const struct place_label *label, struct fault *f)
{
    struct stat st;
    if (write_label(p->partial_fd, label, f) < 0)
        return -1;
    p->replaced = fstatat(p->parent_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (swap(p, p->replaced ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0)
        return fault_errno(f, p->dir, "cannot rename the partial copy into place");
    p->committed = true;
    return 0;
}

void place_rollback(struct place *p)
{
    if (p->committed && p->replaced)
        swap(p, RENAME_EXCHANGE);
    else if (p->committed)
        renameat2(p->parent_fd, p->base, p->parent_fd, p->partial, RENAME_NOREPLACE);
    p->committed = false;
}

/* After an exchange, the partial name holds what was replaced. */
void place_finish(struct place *p)
{
    struct fault ignored = {0};
    if (p->committed && p->replaced)
        tree_remove(p->parent_fd, p->partial, &ignored);
    p->partial[0] = '\0';
}

void place_close(struct place *p)
{
    char name[300];
    struct fault ignored = {0};
    if (p->partial[0])
        tree_remove(p->parent_fd, p->partial, &ignored);
    lock_name(p, name);
    if (p->lock_fd >= 0) {
        struct stat here, there;
        if (flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0 && fstat(p->lock_fd, &here) == 0 &&
            fstatat(p->parent_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
            here.st_ino == there.st_ino)
            unlinkat(p->parent_fd, name, 0);
        close(p->lock_fd);
    }
    if (p->partial_fd >= 0)
        close(p->partial_fd);
    if (p->parent_fd >= 0)
        close(p->parent_fd);
    *p = (struct place){.parent_fd = -1, .lock_fd = -1, .partial_fd = -1};
}
