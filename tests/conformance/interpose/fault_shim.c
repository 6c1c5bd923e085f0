/* SPDX-License-Identifier: BSD-3-Clause */
/* fault_shim.so - a library for LD_PRELOAD whose answers have the one fault that FAULT names. The
 * programs of this folder must notice each of them. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool shim_fault(const char *name)
{
    const char *wanted = getenv("FAULT");
    return wanted && strcmp(wanted, name) == 0;
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static int stat_with_fault(int r, struct stat *st)
{
    if (r == 0 && shim_fault("stat-mtime")) {
        st->st_mtim.tv_nsec ^= 1;
    }
    if (r == 0 && shim_fault("stat-dev")) {
        st->st_dev ^= 1;
    }
    if (r == 0 && shim_fault("stat-nlink")) {
        st->st_nlink++;
    }
    if (r == -1 && shim_fault("stat-errno") && errno == ENOTDIR) {
        errno = ENOENT;
    }
    if (r == 0 && shim_fault("stat-leaves-errno")) {
        errno = EAGAIN;
    }
    return r;
}

/* Remembers what it saw first, until another path needs the place. */
static int stat_stale(const char *path, struct stat *st)
{
    static struct {
        char path[256];
        struct stat st;
    } seen[4096];
    size_t n = strlen(path), i = 5381;
    for (const char *p = path; *p; p++) {
        i = i * 33 + (unsigned char)*p;
    }
    i %= 4096;
    if (path[0] == '/' && strcmp(seen[i].path, path) == 0) {
        *st = seen[i].st;
        return 0;
    }
    int r = ((int (*)(const char *, struct stat *))real("stat"))(path, st);
    if (r == 0 && n < sizeof seen[i].path && path[0] == '/') {
        strcpy(seen[i].path, path);
        seen[i].st = *st;
    }
    return r;
}

int stat(const char *path, struct stat *st)
{
    if (shim_fault("stat-stale") && (uintptr_t)path > 4096 && (uintptr_t)st > 4096) {
        return stat_stale(path, st);
    }
    return stat_with_fault(((int (*)(const char *, struct stat *))real("stat"))(path, st), st);
}

int stat64(const char *path, struct stat64 *st)
{
    return stat(path, (struct stat *)st);
}

int __xstat(int ver, const char *path, struct stat *st);

int __xstat(int ver, const char *path, struct stat *st)
{
    int (*call)(int, const char *, struct stat *) = real("__xstat");
    return stat_with_fault(call(ver, path, st), st);
}

int fstat(int fd, struct stat *st)
{
    int r = ((int (*)(int, struct stat *))real("fstat"))(fd, st);
    if (r == 0 && shim_fault("fstat-ino")) {
        st->st_ino += 1000000;
    }
    return r;
}

int access(const char *path, int mode)
{
    int r = ((int (*)(const char *, int))real("access"))(path, mode);
    return r == -1 && errno == EACCES && shim_fault("access") ? 0 : r;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list ap;
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if (shim_fault("open-cloexec")) {
        flags &= ~O_CLOEXEC;
    }
    if (shim_fault("open-nofollow")) {
        flags &= ~O_NOFOLLOW;
    }
    int fd = ((int (*)(const char *, int, ...))real("open"))(path, flags, mode);
    if (fd >= 0 && shim_fault("open-offset") && !(flags & (O_PATH | O_DIRECTORY))) {
        lseek(fd, 1, SEEK_SET);
    }
    return fd;
}

FILE *fopen(const char *path, const char *mode)
{
    FILE *s = ((FILE * (*)(const char *, const char *)) real("fopen"))(path, mode);
    if (s && shim_fault("fopen-offset")) {
        fseek(s, 1, SEEK_SET);
    }
    return s;
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
    ssize_t n = ((ssize_t(*)(const char *, char *, size_t))real("readlink"))(path, buf, size);
    if (n > 0 && (size_t)n < size && shim_fault("readlink-nul")) {
        buf[n] = '\0';
    }
    return n;
}

char *realpath(const char *path, char *resolved)
{
    char *r = ((char *(*)(const char *, char *))real("realpath"))(path, resolved);
    if (r && r[0] && shim_fault("realpath")) {
        r[strlen(r) - 1] = '\0';
    }
    return r;
}

struct dirent *readdir(DIR *d)
{
    struct dirent *(*call)(DIR *) = real("readdir");
    struct dirent *e = call(d);
    if (e && shim_fault("readdir-type")) {
        e->d_type = DT_UNKNOWN;
    }
    if (e && shim_fault("readdir-drop") && strcmp(e->d_name, "mod.py") == 0) {
        e = call(d);
    }
    return e;
}

void seekdir(DIR *d, long at)
{
    if (!shim_fault("seekdir")) {
        ((void (*)(DIR *, long))real("seekdir"))(d, at);
    }
}

static char *(*real_dlerror)(void);

/* Beforehand, as a dlsym would make the error to be told forgotten. */
__attribute__((constructor)) static void find_dlerror(void)
{
    real_dlerror = (char *(*)(void))real("dlerror");
}

char *dlerror(void)
{
    static char text[8192];
    if (!real_dlerror) { /* ASan asks before any constructor */
        find_dlerror();
    }
    char *t = real_dlerror();
    if (!t || !shim_fault("dlerror")) {
        return t;
    }
    snprintf(text, sizeof text, "/dev/shm/mirror%s", t);
    return text;
}

ssize_t pread(int fd, void *buf, size_t size, off_t off)
{
    ssize_t (*call)(int, void *, size_t, off_t) = real("pread");
    return call(fd, buf, size, shim_fault("pread") ? off + 1 : off);
}

/* A cache that does not see the process's own writes. */
int unlink(const char *path)
{
    if (shim_fault("unlink-lost")) {
        return 0;
    }
    return ((int (*)(const char *))real("unlink"))(path);
}

int chmod(const char *path, mode_t mode)
{
    if (shim_fault("chmod-lost")) {
        return 0;
    }
    return ((int (*)(const char *, mode_t))real("chmod"))(path, mode);
}
