/* SPDX-License-Identifier: BSD-3-Clause */
/* open.c - open(2), creat(2), fopen(3) and their variants. */
#include "intercept/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "answer/answer.h"
#include "cache/mirror.h"
#include "invalidate/note.h"
#include "resolve.h"

/* The kernel's O_LARGEFILE, which old programs pass; on 64-bit systems libc's own is 0. */
enum { KERNEL_LARGEFILE = 0100000 };

/* Do the flags only say how to read? Calls with any other flag go to the kernel. */
static bool open_reads_only(int flags)
{
    const int harmless = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_LARGEFILE | KERNEL_LARGEFILE;

    return (flags & ~harmless) == O_RDONLY;
}

static bool open_writes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

/* Does open(2) use its third argument? */
static bool has_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

/* Would a rank other than the root write bytecode into a __pycache__? All ranks would write the
 * same file. Python goes on without it if it cannot write. */
static bool is_refused_pycache(const char *path, int flags)
{
    const char *slash = strrchr(path, '/');

    return (flags & O_CREAT) != 0 && !resolver.fill->is_guest && !resolver.fill->is_root &&
           slash != NULL && slash - path >= 12 && memcmp(slash - 12, "/__pycache__", 12) == 0 &&
           strstr(slash, ".pyc.") != NULL;
}

/* Returns the descriptor, or -1 with errno, if *served. Otherwise make the real call. */
static int serve_open(const char *path, int flags, bool *served)
{
    char name[MIRROR_PATH_MAX];
    struct answer a;
    int fd;

    *served = resolve(CALL_OPEN, RECORD_CONTENT, 0, path, &a);
    if (!*served) {
        return -1;
    }
    if (a.error != 0) {
        errno = -a.error;
        return -1;
    }
    *served = answer_mirror(resolver.node, a.record, name, sizeof name) &&
              (fd = real()->open(name, flags)) >= 0;
    return *served ? fd : -1;
}

static void open_note_open(int fd, int dirfd, const char *path, int flags)
{
    if ((flags & O_CREAT) != 0) {
        note_created(fd, dirfd, path, (flags & O_EXCL) != 0);
    } else {
        note_change(dirfd, path, CHANGE_OBJECT);
    }
}

/* All variants of open come through here; `call` is the libc function of the one that was
 * called. */
static int open_any(int (*call)(int, const char *, int, mode_t), int dirfd, const char *path,
                    int flags, mode_t mode)
{
    bool served = false;
    int fd;

    if ((dirfd == AT_FDCWD || (could_be_pointer(path) && path[0] == '/')) && resolve_wanted(path)) {
        if (open_reads_only(flags)) {
            fd = serve_open(path, flags, &served);
            if (served) {
                return fd;
            }
        } else if (is_refused_pycache(path, flags)) {
            errno = EROFS;
            return -1;
        }
    }
    fd = call(dirfd, path, flags, mode);
    if (fd < 0 && errno == EEXIST && (flags & O_CREAT) != 0) {
        note_contradiction(dirfd, path);
    }
    if (fd >= 0 && open_writes(flags) && (flags & O_TMPFILE) != O_TMPFILE) {
        open_note_open(fd, dirfd, path, flags);
    }
    return fd;
}

#define CALLER(name, expression)                                                                   \
    static int call_##name(int dirfd, const char *path, int flags, mode_t mode)                    \
    {                                                                                              \
        (void)dirfd, (void)mode;                                                                   \
        return expression;                                                                         \
    }

CALLER(open, real()->open(path, flags, mode))
CALLER(open64, real()->open64(path, flags, mode))
CALLER(openat, real()->openat(dirfd, path, flags, mode))
CALLER(openat64, real()->openat64(dirfd, path, flags, mode))
CALLER(__open_2, real()->__open_2(path, flags))
CALLER(__open64_2, real()->__open64_2(path, flags))
CALLER(__openat_2, real()->__openat_2(dirfd, path, flags))
CALLER(__openat64_2, real()->__openat64_2(dirfd, path, flags))

#define TAKE_MODE(mode, flags)                                                                     \
    mode_t mode = 0;                                                                               \
    if (has_mode(flags)) {                                                                         \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

FI_EXPORT int open(const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return open_any(call_open, AT_FDCWD, path, flags, mode);
}

FI_EXPORT int open64(const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return open_any(call_open64, AT_FDCWD, path, flags, mode);
}

FI_EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return open_any(call_openat, dirfd, path, flags, mode);
}

FI_EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
    TAKE_MODE(mode, flags)
    return open_any(call_openat64, dirfd, path, flags, mode);
}

FI_EXPORT int __open_2(const char *path, int flags)
{
    return open_any(call___open_2, AT_FDCWD, path, flags, 0);
}

FI_EXPORT int __open64_2(const char *path, int flags)
{
    return open_any(call___open64_2, AT_FDCWD, path, flags, 0);
}

FI_EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
    return open_any(call___openat_2, dirfd, path, flags, 0);
}

FI_EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
    return open_any(call___openat64_2, dirfd, path, flags, 0);
}

FI_EXPORT int creat(const char *path, mode_t mode)
{
    return open_any(call_open, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

FI_EXPORT int creat64(const char *path, mode_t mode)
{
    return open_any(call_open64, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static bool mode_reads_only(const char *mode)
{
    return mode != NULL && mode[0] == 'r' && strpbrk(mode, "+,") == NULL;
}

static void note_stream(FILE *file, const char *path, const char *mode)
{
    open_note_open(fileno(file), AT_FDCWD, path, mode[0] == 'r' ? O_RDWR : O_CREAT);
}

static FILE *fopen_any(FILE *(*call)(const char *, const char *), const char *path,
                       const char *mode)
{
    char name[MIRROR_PATH_MAX];
    struct answer a;
    FILE *file;

    if (resolve_wanted(path) && mode_reads_only(mode) &&
        resolve(CALL_OPEN, RECORD_CONTENT, 0, path, &a)) {
        if (a.error != 0) {
            errno = -a.error;
            return NULL;
        }
        if (answer_mirror(resolver.node, a.record, name, sizeof name) &&
            (file = call(name, mode)) != NULL) {
            return file;
        }
    }
    file = call(path, mode);
    if (file != NULL && !mode_reads_only(mode)) {
        note_stream(file, path, mode);
    }
    return file;
}

FI_EXPORT FILE *fopen(const char *path, const char *mode)
{
    return fopen_any(real()->fopen, path, mode);
}

FI_EXPORT FILE *fopen64(const char *path, const char *mode)
{
    return fopen_any(real()->fopen64, path, mode);
}

static void note_descriptor(FILE *file)
{
    int error = errno;

    note_change_by_fd(fileno(file));
    errno = error;
}

/* Never served, because libc decides about the stream's descriptor. Without a path libc reopens the
 * file of the stream, which must therefore not be a mirror file. */
static FILE *freopen_any(FILE *(*call)(const char *, const char *, FILE *), const char *path,
                         const char *mode, FILE *stream)
{
    FILE *file;

    if (mode_reads_only(mode)) {
        return call(path, mode, stream);
    }
    if (path == NULL) {
        note_descriptor(stream);
    }
    file = call(path, mode, stream);
    if (file != NULL && path == NULL) {
        note_descriptor(file);
    } else if (file != NULL) {
        note_stream(file, path, mode);
    }
    return file;
}

FI_EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
    return freopen_any(real()->freopen, path, mode, stream);
}

FI_EXPORT FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
    return freopen_any(real()->freopen64, path, mode, stream);
}
