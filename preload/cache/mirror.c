/* SPDX-License-Identifier: BSD-3-Clause */
/* mirror.c - see mirror.h */
#include "cache/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/library_content.h"

/* Does the path stay inside the mirror? Where a RUNPATH says so, ld.so opens a library by
 * "/a/../b". The mirror has no symlinked directories, so ".." can be removed textually. But "/.."
 * would leave the mirror: its root has a parent, "/" has none. */
static bool stays_inside(const char *path)
{
    struct fi_path p;

    return path[0] == '/' &&
           (strstr(path, "/..") == NULL ||
            (path_normalise(&p, "/", path) && path_fold(&p, path_any_directory, NULL)));
}

bool mirror_path(const struct node_cache *node, const char *path, char *out, size_t size)
{
    size_t n = strlen(path);

    if (!stays_inside(path) || node->directory_length + sizeof "/files" + n > size) {
        return false;
    }
    memcpy(out, node->directory, node->directory_length);
    memcpy(out + node->directory_length, "/files", 6);
    memcpy(out + node->directory_length + 6, path, n + 1);
    return true;
}

enum { SUFFIX_LENGTH = 18 }; /* ".~" and 16 hexadecimal digits */

bool mirror_copy_path(const struct node_cache *node, const char *path, uint64_t version, char *out,
                      size_t size)
{
    size_t n;

    if (!mirror_path(node, path, out, size)) {
        return false;
    }
    n = strlen(out);
    return version == 0 || (n + SUFFIX_LENGTH < size &&
                            snprintf(out + n, size - n, ".~%016" PRIx64, version) == SUFFIX_LENGTH);
}

/* The length of the name without the suffix of a partial copy. */
static size_t length_without_suffix(const char *name)
{
    size_t n = strlen(name);

    return n > SUFFIX_LENGTH && memcmp(name + n - SUFFIX_LENGTH, ".~", 2) == 0 &&
                   strspn(name + n - 16, "0123456789abcdef") == 16
               ? n - SUFFIX_LENGTH
               : n;
}

bool mirror_path_to_original(const struct node_cache *node, char *path)
{
    size_t n = node->directory_length;

    if (strncmp(path, node->directory, n) != 0 || strncmp(path + n, "/files/", 7) != 0) {
        return false;
    }
    n += strlen("/files");
    memmove(path, path + n, strlen(path + n) + 1);
    path[length_without_suffix(path)] = '\0';
    return true;
}

const struct record *mirror_library(const struct node_cache *node, const char *path)
{
    const struct record *r = library_content(&node->index, path);

    return r == NULL || r->error != 0 || (record_flags(r) & RECORD_UNAVAILABLE) != 0 ? NULL : r;
}

int mirror_begin(struct mirror_writer *w, struct node_cache *node, uint64_t size)
{
    static _Atomic unsigned serial;
    int error;

    snprintf(w->temporary, sizeof w->temporary, "%s/tmp/%d.%u", node->directory, (int)sys_getpid(),
             atomic_fetch_add(&serial, 1));
    w->written = 0;
    w->parts = (struct extents){0};
    w->fd = sys_open(w->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->fd < 0) {
        return w->fd;
    }
    error = room_take(&w->room, &node->index, w->fd, size);
    if (error != 0) {
        mirror_abandon(w);
    }
    return error;
}

int mirror_append(struct mirror_writer *w, const void *bytes, size_t size)
{
    int error = 0;

    while (error == 0 && size > 0) {
        uint64_t run;
        uint64_t offset = extents_locate(&w->parts, w->written, &run);
        size_t n = run < size ? (size_t)run : size;

        error = n == 0 ? -EINVAL : room_use(&w->room, w->fd, n);
        if (error == 0) {
            error = sys_pwrite_all(w->fd, bytes, n, (off_t)offset);
        }
        if (error == 0) {
            w->written += n;
            bytes = (const char *)bytes + n;
            size -= n;
        }
    }
    return error;
}

void mirror_abandon(struct mirror_writer *w)
{
    sys_close(w->fd);
    sys_unlink(w->temporary);
    w->fd = -1;
    room_return(&w->room);
}

/* mkdir -p for the directories above a mirror file. Cuts `path` and restores it. */
static int make_parents(char *path, size_t keep)
{
    for (size_t at = keep; path[at] != '\0'; at++) {
        int error;

        if (path[at] != '/') {
            continue;
        }
        path[at] = '\0';
        error = sys_mkdir(path, 0700);
        path[at] = '/';
        if (error != 0 && error != -EEXIST) {
            return error;
        }
    }
    return 0;
}

/* Where to write the copy of a path. The path must be normal: another one could name the copy of a
 * different file. */
static bool target_path(const struct node_cache *node, const char *path, uint64_t version,
                        char *out, size_t size)
{
    return path_is_normal(path, strlen(path)) && mirror_copy_path(node, path, version, out, size);
}

static int mirror_place(struct node_cache *node, const char *from, char *to,
                        int (*put)(const char *, const char *))
{
    int error = put(from, to);

    if (error == -ENOENT) {
        error = make_parents(to, node->directory_length + sizeof "/files");
        if (error == 0) {
            error = put(from, to);
        }
    }
    return error;
}

/* Under its own name a library of which there is a partial copy is a symlink to the original. A
 * complete copy takes its place, or has it already. */
static void link_to_original(const struct node_cache *node, const char *path, uint64_t version)
{
    char name[MIRROR_PATH_MAX];

    if (version != 0 && target_path(node, path, 0, name, sizeof name)) {
        sys_symlink(path, name);
    }
}

static int mirror_describe(struct node_cache *node, uint64_t inode, const struct stat *original)
{
    struct fi_query q = query_make(RECORD_MIRROR, 0, (const char *)&inode, sizeof inode);

    return segment_add(&node->index, &q, RECORD_LOCAL, original, sizeof *original) == NULL ? -ENOSPC
                                                                                           : 0;
}

/* Gives a copy of `written` bytes the mode, the size and the times of the original. */
static int mirror_set_attributes(int fd, uint64_t written, const struct stat *original)
{
    struct timespec times[2] = {original->st_atim, original->st_mtim};
    int error = sys_fchmod(fd, (original->st_mode & 0777) | 0400);

    if (error == 0 && written < (uint64_t)original->st_size) {
        error = sys_ftruncate(fd, original->st_size);
    }
    return error == 0 ? sys_futimens(fd, times) : error;
}

const struct stat *mirror_original(const struct node_cache *node, const struct stat *st)
{
    uint64_t inode = st->st_ino;
    struct fi_query q;
    const struct record *r;

    if (st->st_dev != node->index.header->mirror_device) {
        return NULL;
    }
    q = query_make(RECORD_MIRROR, 0, (const char *)&inode, sizeof inode);
    r = segment_find(&node->index, &q);
    return r == NULL ? NULL : record_payload(r);
}

static bool is_same_version(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* fd: the target, opened for reading. */
static int write_into(const struct mirror_writer *w, const char *target, int fd)
{
    int error = sys_fchmod(fd, 0600);
    int to = error != 0 ? error : sys_open(target, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    void *bytes = to < 0 ? NULL : sys_mmap(w->written, PROT_READ, MAP_SHARED, w->fd, 0);

    if (to >= 0) {
        error = bytes == NULL ? -ENOMEM : sys_pwrite_all(to, bytes, w->written, 0);
        sys_close(to);
    } else {
        error = to;
    }
    if (bytes != NULL) {
        sys_munmap(bytes, w->written);
    }
    return error;
}

/* Completes a copy that exists already, by writing into it the bytes that it may lack. It must keep
 * its inode, because ld.so recognises a loaded library by it. Returns false if there is no copy of
 * this version, or it cannot be written. */
static bool mirror_complete(const struct mirror_writer *w, const struct node_cache *node,
                            const char *target, const struct stat *original)
{
    const struct stat *known;
    struct stat st;
    int fd = w->written == 0 ? -1 : sys_open(target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    bool done = false;

    if (fd < 0) {
        return false;
    }
    known = sys_fstat(fd, &st) == 0 ? mirror_original(node, &st) : NULL;
    if (known != NULL && is_same_version(known, original)) {
        done = write_into(w, target, fd) == 0;
        mirror_set_attributes(fd, w->written, original);
    }
    sys_close(fd);
    return done;
}

/* Puts the copy in its place. A copy with a hole never replaces one that is there, since that may
 * be complete: -EEXIST. */
static int put_in_place(struct mirror_writer *w, struct node_cache *node, const char *path,
                        const struct stat *original)
{
    bool whole = w->written >= (uint64_t)original->st_size;
    uint64_t version = extents_version(&w->parts, original);
    char target[MIRROR_PATH_MAX];
    struct stat st;
    int error = sys_fstat(w->fd, &st);

    if (!target_path(node, path, version, target, sizeof target)) {
        return -ENAMETOOLONG;
    }
    if (whole && mirror_complete(w, node, target, original)) {
        sys_unlink(w->temporary);
        return 0;
    }
    /* Describe the inode before the file is in place: whoever opens it may call fstat() at once. */
    if (error == 0) {
        error = mirror_describe(node, st.st_ino, original);
    }
    if (error == 0) {
        error = mirror_place(node, w->temporary, target, whole ? sys_rename : sys_link);
    }
    if (error == 0 && !whole) {
        sys_unlink(w->temporary);
    }
    link_to_original(node, path, version);
    return error;
}

static void count_content(struct segment_header *h, uint64_t size)
{
    uint64_t now = atomic_fetch_add(&h->content_bytes, size) + size;
    uint64_t peak = atomic_load(&h->content_peak);

    while (peak < now && !atomic_compare_exchange_weak(&h->content_peak, &peak, now)) {
    }
}

int mirror_finish(struct mirror_writer *w, struct node_cache *node, const char *path,
                  const struct stat *original)
{
    int error = mirror_set_attributes(w->fd, w->written, original);

    if (error == 0) {
        error = put_in_place(w, node, path, original);
    }
    if (error != 0) {
        mirror_abandon(w);
        return error == -EEXIST ? 0 : error;
    }
    count_content(node->index.header, w->written);
    room_keep(&w->room);
    sys_close(w->fd);
    w->fd = -1;
    return 0;
}

int mirror_link(struct node_cache *node, const char *first, const char *path, uint64_t version)
{
    char from[MIRROR_PATH_MAX];
    char to[MIRROR_PATH_MAX];
    int error;

    if (!target_path(node, first, version, from, sizeof from) ||
        !target_path(node, path, version, to, sizeof to)) {
        return -ENAMETOOLONG;
    }
    error = mirror_place(node, from, to, sys_link);
    link_to_original(node, path, version);
    return error == -EEXIST ? 0 : error;
}

bool mirror_tell_no_room(const struct node_cache *node, const char *path, int error)
{
    if (error == -ENOSPC) {
        fi_log_once(LOG_WARN,
                    "%s is full: what does not fit, such as %s, is read from its own file system "
                    "(set FASTIMPORT_DIR to a directory with more room)",
                    node->directory, path);
    } else if (error == -ENOBUFS) {
        fi_log_once(LOG_INFO,
                    "%s does not fit into the memory that this job may use here: what does not "
                    "fit, the largest files first, is read from its own file system (a job with "
                    "more memory would be served it)",
                    path);
    }
    return error == -ENOSPC || error == -ENOBUFS;
}
