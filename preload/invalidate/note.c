/* SPDX-License-Identifier: BSD-3-Clause */
/* note.c - see note.h */
#include "invalidate/note.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "answer/directory.h"
#include "base/guard.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/sys.h"
#include "cache/changes.h"
#include "cache/counters.h"
#include "invalidate/announce_change.h"
#include "invalidate/reopen.h"
#include "policy/policy.h"
#include "process/serving.h"

enum { FAR_DIRECTORIES = 256 };

/* Hashes of directories outside all roots, as programs named them. A direct-mapped table: a
 * collision forgets the older one, which costs another look. */
static _Atomic uint64_t far_directories[FAR_DIRECTORIES];

/* A directory above the roots may have changed its contents or its name. */
static void note_above(void)
{
    if (resolve_active) {
        changes_note_above(resolver.node);
    }
}

/* --- where is the changed path? --- */

static bool name_of_fd(int fd, char out[FI_PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = sys_readlink(link, out, FI_PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 && out[0] == '/';
}

/* The absolute directory that `path` starts from, "" if the path is absolute itself. */
static bool note_base(int dirfd, const char *path, char out[FI_PATH_MAX])
{
    out[0] = '\0';
    if (path[0] == '/') {
        return true;
    }
    if (dirfd == AT_FDCWD) {
        return sys_getcwd(out, FI_PATH_MAX) > 0 && out[0] == '/';
    }
    return name_of_fd(dirfd, out);
}

/* Does a change of this path matter? It does if the path or its directory is below a root, or if it
 * is on the way to a root. */
static bool note_matters(const struct fi_path *p)
{
    const struct policy *policy = resolver.policy;

    return policy_verdict(policy, p->text, p->length) != NOT_OURS ||
           policy_leads_to_root(policy, p->text, p->length) ||
           policy_verdict(policy, p->text, path_parent_length(p->text, p->length)) != NOT_OURS;
}

/* Cuts "a/b/c//" into the directory "a/b" and the name "c". A final "." or ".." belongs to the
 * directory, and the name is then "". */
static const char *cut_name(char *path, const char **directory)
{
    size_t n = strlen(path);
    char *name;

    while (n > 1 && path[n - 1] == '/') {
        path[--n] = '\0';
    }
    name = strrchr(path, '/');
    if (name == NULL) {
        *directory = ".";
        name = path;
    } else {
        *directory = name == path ? "/" : path;
        name++;
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        *directory = path;
        return "";
    }
    if (name > path) {
        name[-1] = '\0';
    }
    return name;
}

/* The path with all symlinks resolved by the kernel, except one at its end. */
static bool kernel_path(struct fi_path *out, int dirfd, const char *path)
{
    char copy[FI_PATH_MAX];
    char real[FI_PATH_MAX];
    const char *directory;
    const char *name;
    bool known;
    int fd;

    if (strnlen(path, sizeof copy) >= sizeof copy) {
        return false;
    }
    strcpy(copy, path);
    name = cut_name(copy, &directory);
    fd = sys_openat(dirfd, directory, O_PATH | O_CLOEXEC | O_DIRECTORY, 0);
    if (fd < 0) {
        return false;
    }
    known = name_of_fd(fd, real);
    sys_close(fd);
    return known &&
           (name[0] == '\0' ? path_normalise(out, "/", real) : path_normalise(out, real, name));
}

static _Atomic uint64_t *far_slot(const struct fi_path *p, uint64_t *hash)
{
    *hash = fi_hash(p->text, path_parent_length(p->text, p->length), 1);
    return &far_directories[*hash % FAR_DIRECTORIES];
}

/* Finds the changed path in normal form. Returns false if it does not matter. */
static bool note_locate(struct fi_path *p, int dirfd, const char *path)
{
    char base[FI_PATH_MAX];
    _Atomic uint64_t *slot;
    uint64_t hash;

    note_above();
    if (!resolve_active || fi_inside() || !could_be_pointer(path) ||
        !note_base(dirfd, path, base) || !path_normalise(p, base, path)) {
        return false;
    }
    if (!p->has_dotdot) {
        if (note_matters(p)) {
            return true;
        }
        slot = far_slot(p, &hash);
        if (atomic_load_explicit(slot, memory_order_relaxed) == hash) {
            return false;
        }
        if (kernel_path(p, dirfd, path) && note_matters(p)) {
            return true;
        }
        atomic_store_explicit(slot, hash, memory_order_relaxed);
        return false;
    }
    /* If the change has closed the way to the path (a chmod), ".." is removed textually. */
    return (kernel_path(p, dirfd, path) || path_fold(p, path_any_directory, NULL)) &&
           note_matters(p);
}

/* The same for an open file, by its descriptor; nothing is asked of the file server. */
static bool locate_open(struct fi_path *p, int fd)
{
    char text[FI_PATH_MAX];

    return resolve_active && !fi_inside() && name_of_fd(fd, text) && path_normalise(p, "/", text) &&
           note_matters(p);
}

/* The same for a change that follows a symlink at the end of the path: a link outside the roots may
 * lead below them. */
static bool locate_followed(struct fi_path *p, int dirfd, const char *path)
{
    char text[FI_PATH_MAX];
    bool known;
    int fd;

    if (note_locate(p, dirfd, path)) {
        return true;
    }
    if (!resolve_active || fi_inside() || !could_be_pointer(path) ||
        sys_readlinkat(dirfd, path, text, sizeof text) <= 0 ||
        (fd = sys_openat(dirfd, path, O_PATH | O_CLOEXEC, 0)) < 0) {
        return false;
    }
    known = locate_open(p, fd);
    sys_close(fd);
    return known;
}

/* --- what is at that path? --- */

/* Records the change of the directory of a changed name: its listing, times and link count. */
static bool note_directory(const struct fi_path *p, const struct stat *st,
                           enum change_extent extent)
{
    struct node_cache *node = resolver.node;
    char directory[FI_PATH_MAX];
    size_t n = path_parent_length(p->text, p->length);
    const char *name = path_name(p->text, p->length);

    memcpy(directory, p->text, n);
    directory[n] = '\0';
    return change_note_path(node, directory, n, CHANGE_OBJECT) &&
           change_note_inode(node, st, directory, CHANGE_OBJECT) &&
           (extent != CHANGE_TREE || change_note_name(node, st->st_ino, name, strlen(name)));
}

static bool stat_directory(struct fi_path *p, struct stat *st)
{
    size_t n = path_parent_length(p->text, p->length);
    char saved = p->text[n];
    bool known;

    p->text[n] = '\0';
    known = n > 0 && sys_stat(p->text, st) == 0;
    p->text[n] = saved;
    return known;
}

enum how {
    HOW_NEW,     /* the path now names a new object, or its object has new attributes */
    HOW_IN_PLACE /* the bytes of the file may have changed under open descriptors */
};

static bool note_file(const struct fi_path *p, const struct stat *st, enum change_extent extent,
                      enum how how)
{
    if (how == HOW_IN_PLACE && S_ISREG(st->st_mode)) {
        reopen_on_original(resolver.node, st, p->text);
    }
    return change_note_inode(resolver.node, st, p->text, extent);
}

static bool note_object(const struct fi_path *p, enum change_extent extent, enum how how)
{
    struct stat st;

    if (sys_lstat(p->text, &st) != 0) {
        return true;
    }
    if (!note_file(p, &st, extent, how)) {
        return false;
    }
    return !S_ISLNK(st.st_mode) || sys_stat(p->text, &st) != 0 || note_file(p, &st, extent, how);
}

/* The object that the name had before has one name less, unless it has just moved. */
static bool note_gone(const struct change_before *before)
{
    struct stat now;

    if (!before->was_there ||
        (sys_lstat(before->path.text, &now) == 0 && now.st_ino == before->st.st_ino) ||
        change_is_there(resolver.node, before->st.st_ino)) {
        return true;
    }
    now = before->st;
    now.st_nlink -= now.st_nlink > 0;
    return change_note_inode(resolver.node, &now, "", CHANGE_TREE);
}

static bool note_name(struct fi_path *p, enum change_extent extent, enum how how)
{
    struct stat st;

    return change_note_path(resolver.node, p->text, p->length, extent) &&
           note_object(p, extent, how) &&
           (!stat_directory(p, &st) || note_directory(p, &st, extent));
}

static void note_finish(struct fi_path *p, bool all)
{
    count_add(&fi_count->intercepted[CALL_WRITE], 1);
    announce_change(p);
    if (!all) {
        changes_mark_lost(resolver.node);
        fi_log_once(LOG_WARN,
                    "the index of the node cache is full, so a change of a file cannot be "
                    "recorded: this node reads everything from the file system from now on");
    }
}

/* --- what the wrappers call --- */

void note_change(int dirfd, const char *path, enum change_extent extent)
{
    struct fi_path p;

    if (extent == CHANGE_TREE ? note_locate(&p, dirfd, path) : locate_followed(&p, dirfd, path)) {
        note_finish(&p, note_name(&p, extent, extent == CHANGE_OBJECT ? HOW_IN_PLACE : HOW_NEW));
    }
}

/* Records the change by the inode of the descriptor, too: if its permissions now block the way to
 * its name, other names may still work. */
static bool note_inode_of_fd(const struct fi_path *p, int fd)
{
    struct stat st;

    return sys_fstat(fd, &st) != 0 || change_note_inode(resolver.node, &st, p->text, CHANGE_TREE);
}

void note_change_of_fd(int fd)
{
    char path[FI_PATH_MAX];
    struct fi_path p;

    if (resolve_active && !fi_inside() && name_of_fd(fd, path) && note_locate(&p, AT_FDCWD, path)) {
        note_finish(&p, note_name(&p, CHANGE_TREE, HOW_NEW) && note_inode_of_fd(&p, fd));
    }
}

void note_contradiction(int dirfd, const char *path)
{
    struct fi_path p;

    if (note_locate(&p, dirfd, path) && !note_name(&p, CHANGE_TREE, HOW_NEW)) {
        changes_mark_lost(resolver.node);
    }
}

void note_created(int fd, int dirfd, const char *path, bool is_new)
{
    char real[FI_PATH_MAX];
    struct fi_path p;

    if (!note_locate(&p, dirfd, path) && (is_new || !locate_open(&p, fd))) {
        return;
    }
    note_finish(&p, note_name(&p, CHANGE_TREE, is_new ? HOW_NEW : HOW_IN_PLACE));
    if (name_of_fd(fd, real) && strcmp(real, p.text) != 0) {
        note_change(AT_FDCWD, real, CHANGE_TREE);
    }
}

void note_change_by_fd(int fd)
{
    char path[FI_PATH_MAX];

    if (fd == AT_FDCWD) {
        note_change(fd, ".", CHANGE_OBJECT);
    } else if (resolve_active && (note_original_path(fd, path) || name_of_fd(fd, path))) {
        note_change(AT_FDCWD, path, CHANGE_OBJECT);
    }
}

bool note_original_path(int fd, char path[FI_PATH_MAX])
{
    return resolve_active && !fi_inside() && reopen_path(resolver.node, fd, path);
}

void note_use_original(int fd)
{
    char path[FI_PATH_MAX];
    struct stat st;

    if (note_original_path(fd, path) && sys_stat(path, &st) == 0) {
        reopen_on_original(resolver.node, &st, path);
    }
}

void note_reopen_all(void)
{
    reopen_all_on_originals(resolver.node);
    directory_open_originals();
}

/* Replaces open descriptors by descriptors of the original, while that can still be opened. */
static void reopen_originals(const struct change_before *before)
{
    if (!before->was_there) {
        return;
    }
    if (S_ISDIR(before->st.st_mode) || S_ISLNK(before->st.st_mode)) {
        note_reopen_all();
    } else if (S_ISREG(before->st.st_mode)) {
        reopen_on_original(resolver.node, &before->st, before->path.text);
    }
}

void before_chmod(struct change_before *before, int dirfd, const char *path)
{
    struct fi_path *p = &before->path;

    before->matters = locate_followed(p, dirfd, path);
    if (before->matters) {
        before->has_directory = stat_directory(p, &before->directory);
        before->was_there = sys_stat(p->text, &before->st) == 0;
        reopen_originals(before);
    }
}

void before_chmod_by_fd(struct change_before *before, int fd)
{
    char path[FI_PATH_MAX];

    before->matters = false;
    if (resolve_active && !fi_inside() && name_of_fd(fd, path)) {
        before_chmod(before, AT_FDCWD, path);
    }
}

static bool note_permissions(struct change_before *before)
{
    if (before->was_there) {
        announce_permissions(&before->path, &before->st);
    }
    return note_name(&before->path, CHANGE_TREE, HOW_NEW) &&
           (!before->was_there ||
            change_note_inode(resolver.node, &before->st, before->path.text, CHANGE_TREE));
}

void after_chmod(struct change_before *before)
{
    note_above();
    if (before->matters) {
        note_finish(&before->path, note_permissions(before));
    }
}

void after_chmod_by_fd(struct change_before *before, int fd)
{
    note_above();
    if (before->matters) {
        note_finish(&before->path, note_permissions(before) && note_inode_of_fd(&before->path, fd));
    }
}

void before_remove(struct change_before *before, int dirfd, const char *path)
{
    struct fi_path *p = &before->path;

    before->matters = note_locate(p, dirfd, path);
    if (!before->matters) {
        return;
    }
    before->has_directory = stat_directory(p, &before->directory);
    before->was_there = sys_lstat(p->text, &before->st) == 0;
    reopen_originals(before);
}

void after_remove(struct change_before *before)
{
    note_above();
    if (!before->matters) {
        return;
    }
    if (before->was_there) {
        announce_removed(&before->path, &before->st);
    }
    if (before->has_directory) {
        announce_directory_of(&before->path, &before->directory);
    }
    note_finish(&before->path,
                note_name(&before->path, CHANGE_TREE, HOW_NEW) && note_gone(before) &&
                    (!before->has_directory ||
                     note_directory(&before->path, &before->directory, CHANGE_TREE)));
}
