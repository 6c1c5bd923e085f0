/* SPDX-License-Identifier: BSD-3-Clause */
/* path.c - readlink(2), realpath(3) and their variants; chdir(2). */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "answer/answer.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/mirror.h"
#include "intercept/parents.h"
#include "resolve.h"

static bool serve_readlink(const char *path, char *buf, size_t size, ssize_t *result)
{
    struct answer a;

    /* the kernel converts the size to an int and checks it first */
    if ((int)size <= 0 || !could_be_pointer(buf)) {
        return false;
    }
    if (!resolve_wanted(path) || !resolve(CALL_PATH, RECORD_STAT, 0, path, &a)) {
        return parents_readlink(path, buf, size, result);
    }
    *result = a.error != 0 ? a.error : answer_readlink(a.record, buf, size);
    if (*result < 0) {
        errno = (int)-*result;
        *result = -1;
    }
    return true;
}

/* The name of an open descriptor may lead to a mirror file: that of the original is the answer. */
static ssize_t readlink_original(const char *path, char *buf, size_t size, ssize_t result)
{
    char text[MIRROR_PATH_MAX];
    ssize_t n;

    if (result <= 0 || __builtin_expect(!resolve_begun, 1) || !path_may_name_descriptor(path)) {
        return result;
    }
    n = sys_readlink(path, text, sizeof text - 1);
    if (n <= 0) {
        return result;
    }
    text[n] = '\0';
    if (!mirror_path_to_original(resolver.node, text)) {
        return result;
    }
    n = (ssize_t)strlen(text);
    n = n < (ssize_t)size ? n : (ssize_t)size;
    memcpy(buf, text, (size_t)n);
    return n;
}

FI_EXPORT ssize_t readlink(const char *path, char *buf, size_t size)
{
    ssize_t result;

    if (serve_readlink(path, buf, size, &result)) {
        return result;
    }
    return readlink_original(path, buf, size, real()->readlink(path, buf, size));
}

FI_EXPORT ssize_t readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
    ssize_t result;

    if ((dirfd == AT_FDCWD || (could_be_pointer(path) && path[0] == '/')) &&
        serve_readlink(path, buf, size, &result)) {
        return result;
    }
    return readlink_original(path, buf, size, real()->readlinkat(dirfd, path, buf, size));
}

FI_EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room)
{
    return size <= room ? readlink(path, buf, size) : real()->__readlink_chk(path, buf, size, room);
}

FI_EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t size, size_t room)
{
    return size <= room ? readlinkat(dirfd, path, buf, size)
                        : real()->__readlinkat_chk(dirfd, path, buf, size, room);
}

/* True: *result is the result of realpath(path, resolved). */
static bool serve_realpath(const char *path, char *resolved, char **result)
{
    struct answer a;
    const char *real_name;

    if (!resolve_wanted(path) || !resolve(CALL_PATH, RECORD_REALPATH, 0, path, &a)) {
        return false;
    }
    if (a.error != 0) {
        errno = -a.error;
        *result = NULL;
        return resolved == NULL; /* with a buffer, libc stores there how far it has come */
    }
    real_name = record_payload(a.record);
    *result = resolved == NULL ? strdup(real_name) : strcpy(resolved, real_name);
    return true;
}

FI_EXPORT char *realpath(const char *path, char *resolved)
{
    char *result;

    return serve_realpath(path, resolved, &result) ? result : real()->realpath(path, resolved);
}

FI_EXPORT char *__realpath_chk(const char *path, char *resolved, size_t room)
{
    return room >= PATH_MAX ? realpath(path, resolved)
                            : real()->__realpath_chk(path, resolved, room);
}

FI_EXPORT char *canonicalize_file_name(const char *path)
{
    return realpath(path, NULL);
}

FI_EXPORT int chdir(const char *path)
{
    int result = real()->chdir(path);

    resolve_moved();
    return result;
}

FI_EXPORT int fchdir(int fd)
{
    int result = real()->fchdir(fd);

    resolve_moved();
    return result;
}
