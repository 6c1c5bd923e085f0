#include "stage/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"
#include "base/pathmap.h"
#include "manifest/manifest.h"
#include "stage/place.h"
#include "stage/trust.h"
#include "tree/tree.h"

struct sweeping {
    struct pathmap *listed; /* paths of the manifest */
    uint64_t kept;
    char first[4096]; /* of the kept ones */
};

static int read_manifest(int top, struct pathmap *listed, struct fault *f)
{
    struct record r;
    int got = -1, fd = openat(top, NAME_MANIFEST, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    if (!in)
        return fault_errno(f, NAME_MANIFEST, "cannot open");
    struct manifest_reader *m = manifest_open(in, f);
    while (m && (got = manifest_next(m, &r, f)) > 0)
        pathmap_put(listed, r.entry.path);
    manifest_close(m);
    fclose(in);
    return got;
}

static bool byte_code(const char *path)
{
    size_t n = strlen(path);
    return strstr(path, "__pycache__/") && n > 4 && strcmp(path + n - 4, ".pyc") == 0;
}

/* Was it made by `stage`, or by Python from what `stage` made? */
static bool ours(const struct sweeping *s, const char *path)
{
    return pathmap_get(s->listed, path) || byte_code(path);
}

static void keep(struct sweeping *s, const char *path)
{
    if (s->kept++ == 0)
        snprintf(s->first, sizeof s->first, "%s", path);
}

static int sweep_dir(struct sweeping *s, int fd, const char *path, struct fault *f);

static int sweep_entry(struct sweeping *s, int dir, const char *name, const char *path,
                       struct fault *f)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fault_errno(f, path, "cannot stat");
    if (!S_ISDIR(st.st_mode)) {
        if (!ours(s, path))
            keep(s, path);
        else if (unlinkat(dir, name, 0) < 0)
            return fault_errno(f, path, "cannot remove");
        return 0;
    }
    int fd = tree_open_dir(dir, name);
    if (fd < 0)
        return fault_errno(f, path, "cannot open");
    uint64_t before = s->kept;
    if (sweep_dir(s, fd, path, f) < 0)
        return -1;
    if (s->kept > before)
        return 0;
    return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? fault_errno(f, path, "cannot remove") : 0;
}

/* Closes `fd`. */
static int sweep_dir(struct sweeping *s, int fd, const char *path, struct fault *f)
{
    struct dirent *e;
    int r = 0;
    DIR *d = fdopendir(fd);
    while (d && r == 0 && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (!*path && strcmp(e->d_name, NAME_OWN) == 0))
            continue;
        char *below = *path ? io_format("%s/%s", path, e->d_name) : io_strdup(e->d_name);
        r = sweep_entry(s, dirfd(d), e->d_name, below, f);
        free(below);
    }
    if (d)
        closedir(d);
    return r;
}

/* Our own directory last: until then the rest can still be cleaned. */
static int sweep_staged(struct place *p, int top, struct fault *f)
{
    struct sweeping s = {.listed = pathmap_new()};
    int r = read_manifest(top, s.listed, f);
    if (r == 0)
        r = sweep_dir(&s, dup(top), "", f);
    pathmap_free(s.listed);
    if (r == 0 && s.kept)
        r = fault_set(f, p->dir,
                      "%llu files that `stage` did not make are left (the first: %s); --force "
                      "removes them",
                      (unsigned long long)s.kept, s.first);
    return r < 0 ? -1 : tree_remove(p->parent_fd, p->base, f);
}

static int sweep_place(struct place *p, bool all, struct fault *f)
{
    struct place_label label;
    int top = openat(p->parent_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return errno == ENOENT ? 0 : fault_errno(f, p->dir, "cannot open");
    int r = trust_tree(top, p->dir, f);
    if (r == 0 && !place_read_label(top, &label))
        r = fault_set(f, p->dir, "it was not made by `stage`; not removed");
    if (r == 0)
        r = all ? tree_remove(p->parent_fd, p->base, f) : sweep_staged(p, top, f);
    close(top);
    return r;
}

int sweep(const char *dir, bool all, struct fault *f)
{
    struct place p;
    char name[PARTIAL_NAME];
    int r = place_open(&p, dir, f);
    if (r == 0)
        r = partial_new_name(p.base, name, f);
    if (r == 0)
        r = place_begin(&p, name, partial_number(name), f);
    if (r == 0)
        r = sweep_place(&p, all, f);
    place_close(&p);
    return r;
}
