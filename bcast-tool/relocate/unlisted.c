/* SPDX-License-Identifier: BSD-3-Clause */
#include "relocate/unlisted.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "archive/name.h"
#include "base/io.h"
#include "relocate/classify.h"
#include "relocate/rewrite.h"

#define TEMPORARY ".python-mpi-bcast-rewrite"

struct copy {
    int out;
    XXH3_state_t *sum;
    uint64_t size;
};

static int unlisted_put(void *context, const void *data, size_t n, struct error *err)
{
    struct copy *c = context;
    XXH3_64bits_update(c->sum, data, n);
    c->size += n;
    return io_write(c->out, data, n, -1) < 0 ? error_set_errno(err, NULL, "cannot write") : 0;
}

static int unlisted_stream(int in, struct rewriter *r, struct error *err)
{
    char *block = io_alloc(64 << 10);
    ssize_t n;
    int result = 0;
    off_t at = 0;
    while (result == 0 && (n = io_pread(in, block, 64 << 10, at)) > 0) {
        result = rewriter_feed(r, block, (size_t)n, err);
        at += n;
    }
    if (result == 0) {
        result = n < 0 ? error_set_errno(err, NULL, "cannot read") : rewriter_end(r, err);
    }
    free(block);
    return result;
}

static int unlisted_replace(int dir, const char *name, struct copy *c, const struct stat *st,
                            struct error *err)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, st->st_mtim};
    if (fchmod(c->out, st->st_mode & 0777) < 0 || futimens(c->out, times) < 0) {
        return error_set_errno(err, NULL, "cannot set mode and time");
    }
    return renameat(dir, TEMPORARY, dir, name) < 0 ? error_set_errno(err, NULL, "cannot replace")
                                                   : 0;
}

/* Rewrites one open file of `dir`. */
static int unlisted_rewrite(int dir, const char *name, int in, enum rewrite_mode mode,
                            const struct rewrite_map *map, struct copy *c, struct error *err)
{
    struct stat st;
    c->out = openat(dir, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (c->out < 0 || fstat(in, &st) < 0) {
        return error_set_errno(err, NULL, "cannot rewrite");
    }
    struct rewriter *r = rewriter_new();
    c->sum = XXH3_createState();
    XXH3_64bits_reset(c->sum);
    rewriter_begin(r, mode, map, 1, unlisted_put, c);
    int result = unlisted_stream(in, r, err);
    if (result == 0) {
        result = unlisted_replace(dir, name, c, &st, err);
    }
    close(c->out);
    rewriter_free(r);
    if (result < 0) {
        unlinkat(dir, TEMPORARY, 0);
    }
    return result;
}

/* `mode`: 0 means to choose it by the file's bytes. */
static int unlisted_relocate(struct tree *t, const char *path, char mode,
                             const struct rewrite_map *map, struct pathmap *changed,
                             struct error *err)
{
    const char *name;
    struct classify c = {.prefixes = &map->from, .n = 1};
    struct copy copy = {0};
    struct error inner = {0};
    struct tree_dir *d = tree_parent(t, path, &name, false, err);
    int in = d != NULL ? openat(tree_dir_fd(d), name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (in < 0) {
        return d != NULL && (errno == ENOENT || errno == ELOOP)
                   ? 0
                   : error_set_errno(err, path, "cannot open");
    }
    int r = classify_file(&c, in);
    mode = mode ? mode : c.mode;
    if (r == 0 && c.hits && mode != '-') {
        r = unlisted_rewrite(tree_dir_fd(d), name, in, (enum rewrite_mode)mode, map, &copy, &inner);
        if (r == 0) {
            *pathmap_put(changed, path) =
                (struct pathmap_value){XXH3_64bits_digest(copy.sum), copy.size, 0};
        } else {
            error_set(err, path, "%s", inner.reason);
        }
        XXH3_freeState(copy.sum);
    }
    close(in);
    return r;
}

int unlisted_file(struct tree *t, const char *path, const char *from, const char *to,
                  struct pathmap *changed, struct error *err)
{
    struct rewrite_map map = {from, to};
    return unlisted_relocate(t, path, 0, &map, changed, err);
}

static FILE *unlisted_open_text(struct tree *t, const char *path)
{
    const char *name;
    struct error ignored = {0};
    struct tree_dir *d = tree_parent(t, path, &name, false, &ignored);
    int fd = d != NULL ? openat(tree_dir_fd(d), name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    return fd < 0 ? NULL : fdopen(fd, "r");
}

/* Takes one record of conda-unpack's list, as Python writes it: ('bin/x', '/placeholder', 'text'),
 */
static int unlisted_conda_record(struct tree *t, char *line, const char *dir,
                                 struct pathmap *changed, struct error *err)
{
    char path[PATH_MAX], from[PATH_MAX], mode[16], normal[PATH_MAX];
    if (sscanf(line, "('%4095[^'\\]', '%4095[^'\\]', '%15[^'\\]')", path, from, mode) != 3 ||
        from[0] != '/' || strlen(from) < 2) {
        return error_set(err, "bin/conda-unpack", "a prefix record cannot be read: %s", line);
    }
    const char *why = name_normal(path, normal, sizeof normal);
    if (why != NULL) {
        return error_set(err, "bin/conda-unpack", "%s: %s", path, why);
    }
    struct rewrite_map map = {from, dir};
    return unlisted_relocate(t, normal, strcmp(mode, "binary") == 0 ? 'b' : 't', &map, changed,
                             err);
}

int unlisted_conda_pack(struct tree *t, const char *dir, struct pathmap *changed, struct error *err)
{
    char *line = NULL;
    size_t room = 0;
    int r = 0;
    bool inside = false;
    FILE *in = unlisted_open_text(t, "bin/conda-unpack");
    if (in == NULL) {
        return 0;
    }
    while (r == 0 && getline(&line, &room, in) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (inside && line[0] == ']') {
            break;
        }
        if (inside && line[0] == '(') {
            r = unlisted_conda_record(t, line, dir, changed, err);
        }
        inside = inside || strncmp(line, "_prefix_records = [", 19) == 0;
    }
    free(line);
    fclose(in);
    return r < 0 ? -1 : 1;
}

/* Finds VIRTUAL_ENV=/p, with or without quotes, at the start of a line or behind "export ". */
char *unlisted_prefix(struct tree *t)
{
    char line[PATH_MAX], *found = NULL;
    FILE *in = unlisted_open_text(t, "bin/activate");
    while (in != NULL && found == NULL && fgets(line, sizeof line, in) != NULL) {
        char *p = strstr(line, "VIRTUAL_ENV=");
        if (p == NULL) {
            continue;
        }
        p += strlen("VIRTUAL_ENV=");
        p += *p == '"' || *p == '\'';
        p[strcspn(p, "\"'\n")] = '\0';
        if (p[0] == '/' && p[1]) {
            found = io_strdup(p);
        }
    }
    if (in != NULL) {
        fclose(in);
    }
    return found;
}
