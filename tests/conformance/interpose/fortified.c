/* SPDX-License-Identifier: BSD-3-Clause */
/* The open family as _FORTIFY_SOURCE=2 compiles it: __open_2, __open64_2, __openat_2, __openat64_2.
 */
#include <fcntl.h>

int fortified_open(int dirfd, const char *path, int flags);
int fortified_open64(int dirfd, const char *path, int flags);
int fortified_openat(int dirfd, const char *path, int flags);
int fortified_openat64(int dirfd, const char *path, int flags);

int fortified_open(int dirfd, const char *path, int flags)
{
    (void)dirfd;
    return open(path, flags);
}

int fortified_open64(int dirfd, const char *path, int flags)
{
    (void)dirfd;
    return open64(path, flags);
}

int fortified_openat(int dirfd, const char *path, int flags)
{
    return openat(dirfd, path, flags);
}

int fortified_openat64(int dirfd, const char *path, int flags)
{
    return openat64(dirfd, path, flags);
}
