/* SPDX-License-Identifier: BSD-3-Clause */
/* dir.c - directory streams. Streams that libc has opened are passed to libc. */
#include "intercept/real.h"

#include <errno.h>
#include <string.h>

#include "answer/directory.h"
#include "base/sys.h"
#include "cache/changes.h"
#include "resolve.h"

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64),
               "one layout serves both (64-bit ABIs)");

/* True: *result is the answer, a stream of ours, or NULL with errno set. */
static bool serve_opendir(const char *path, DIR **result)
{
    struct answer a;
    struct directory *d;

    if (!resolve_wanted(path) || !resolve(CALL_DIR, RECORD_LIST, 0, path, &a)) {
        return false;
    }
    *result = NULL;
    if (a.error != 0) {
        errno = -a.error;
        return true;
    }
    d = directory_open(a.record);
    *result = (DIR *)d;
    return d != NULL;
}

FI_EXPORT DIR *opendir(const char *path)
{
    DIR *result;

    return serve_opendir(path, &result) ? result : real()->opendir(path);
}

/* Lets libc read the real directory, because this node has changed it. If the directory has been
 * removed, the stream has ended. */
static void dir_hand_over(struct directory *d)
{
    int fd = directory_fd(d);

    if (fd >= 0) {
        sys_lseek(fd, 0, SEEK_SET);
        d->real = fdopendir(fd);
    }
    if (d->real != NULL) {
        d->fd = -1;
    } else {
        d->ended = fd == -ENOENT || fd == -ENOTDIR;
    }
}

/* A stream at its beginning must show what this node has changed in the directory meanwhile. */
static void dir_refresh(struct directory *d)
{
    int saved = errno;

    if (d->at == NULL && !d->ended && d->real == NULL && change_any(resolver.node) &&
        resolve_is_stale(d->list->path, d->list->path_length)) {
        dir_hand_over(d);
    }
    errno = saved;
}

/* Whose stream is this? *d is the stream if it is ours. Otherwise *d is NULL and the result is
 * libc's stream. */
static DIR *stream_of(DIR *dir, struct directory **d)
{
    *d = directory_of(dir);
    if (*d != NULL) {
        dir_refresh(*d);
        if ((*d)->real != NULL) {
            dir = (*d)->real;
            *d = NULL;
        }
    }
    return dir;
}

FI_EXPORT struct dirent *readdir(DIR *dir)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);

    return d != NULL ? directory_read(d) : real()->readdir(stream);
}

FI_EXPORT struct dirent64 *readdir64(DIR *dir)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);

    return d != NULL ? (struct dirent64 *)directory_read(d) : real()->readdir64(stream);
}

static int read_into(struct directory *d, void *entry, void **result)
{
    struct dirent *e = directory_read(d);

    if (e != NULL) {
        memcpy(entry, e, e->d_reclen);
    }
    *result = e == NULL ? NULL : entry;
    return 0;
}

FI_EXPORT int readdir_r(DIR *dir, struct dirent *entry, struct dirent **result)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);

    return d != NULL ? read_into(d, entry, (void **)result)
                     : real()->readdir_r(stream, entry, result);
}

FI_EXPORT int readdir64_r(DIR *dir, struct dirent64 *entry, struct dirent64 **result)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);

    return d != NULL ? read_into(d, entry, (void **)result)
                     : real()->readdir64_r(stream, entry, result);
}

FI_EXPORT int closedir(DIR *dir)
{
    struct directory *d = directory_of(dir);

    if (d == NULL) {
        return real()->closedir(dir);
    }
    if (d->real != NULL) {
        real()->closedir(d->real);
    }
    directory_close(d);
    return 0;
}

FI_EXPORT void rewinddir(DIR *dir)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);

    if (d != NULL) {
        directory_seek(d, 0);
    } else {
        real()->rewinddir(stream);
    }
}

FI_EXPORT void seekdir(DIR *dir, long position)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);

    if (d != NULL) {
        directory_seek(d, position);
    } else {
        real()->seekdir(stream, position);
    }
}

FI_EXPORT long telldir(DIR *dir)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);

    return d != NULL ? d->position : real()->telldir(stream);
}

FI_EXPORT int dirfd(DIR *dir)
{
    struct directory *d;
    DIR *stream = stream_of(dir, &d);
    int fd;

    if (d == NULL) {
        return real()->dirfd(stream);
    }
    fd = directory_fd(d);
    if (fd < 0) {
        errno = -fd;
        return -1;
    }
    return fd;
}
