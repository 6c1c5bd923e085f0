/* SPDX-License-Identifier: BSD-3-Clause */
/* Every call that changes the file system, each in a folder of its own (TREE/rw/RANK/TOUCH/NN) that
 * nothing has changed yet: only so does a wrapper that forgets to note what it did show a stale
 * answer. interpose_test.py runs this with unnoted_writes.so, too, and wants each step to differ.
 */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utime.h>

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

/* Not declared by glibc since 2.33, still exported for old programs. */
typedef int old_mknod(int ver, const char *path, mode_t mode, dev_t *dev);
typedef int old_mknodat(int ver, int dirfd, const char *path, mode_t mode, dev_t *dev);

static const struct timeval times_2001[2] = {{1000000000, 1}, {1000000000, 123456}};
static const struct timespec times_2004[2] = {{1100000000, 1}, {1100000000, 987654321}};

static void change_list(void)
{
    DIR *d = TRY(opendir("."));
    tr_ptr(d, "    opendir");
    if (!d) {
        return;
    }
    const struct dirent *e;
    while ((e = readdir(d))) {
        tr_name_add(strlen(e->d_name) < 10 ? e->d_name : "(temporary)", e->d_ino, e->d_type);
    }
    tr_names("readdir");
    closedir(d);
}

/* No open, which a FIFO would block. */
static void change_look(void)
{
    static const char *const all[] = {".", "file", "link", "sub", "new"};
    struct stat st;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int r = TRY(lstat(all[i], &st));
        tr_ret(r, "    lstat(%s)", all[i]);
        if (r == 0) {
            tr_stat(&st);
        }
        r = TRY(stat(all[i], &st));
        tr_ret(r, "    stat(%s)", all[i]);
        if (r == 0) {
            tr_stat(&st);
        }
        tr_ret(TRY(access(all[i], X_OK)), "    access(%s)", all[i]);
    }
    change_list();
}

static const struct family *family;
static unsigned folder;

static void change_enter(const char *name)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/rw/%d/%d/%02u", family->tree, family->rank, family->touch,
             folder++);
    tr_line("-- %s", name);
    if (chdir(dir) != 0) {
        abort();
    }
    change_look();
}

#define STEP(name, call)                                                                           \
    do {                                                                                           \
        change_enter(#name);                                                                       \
        tr_ret(TRY(call), "%s", #call);                                                            \
        change_look();                                                                             \
    } while (0)

/* --- through a descriptor that only reads, and is served --- */

static int change_open_file(void)
{
    int fd = open("file", O_RDONLY);
    if (fd < 0) {
        abort();
    }
    return fd;
}

static int closing(int fd, int result)
{
    int err = errno;
    close(fd);
    errno = err;
    return result;
}

#define ON_FD(call)                                                                                \
    ({                                                                                             \
        int fd = change_open_file();                                                               \
        closing(fd, call);                                                                         \
    })

/* --- contents --- */

static int change_put(int fd)
{
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, "written", 7);
    close(fd);
    return n == 7 ? 0 : -1;
}

static int change_put_stream(FILE *s)
{
    if (!s) {
        return -1;
    }
    int r = fputs("by a stream", s) < 0 ? -1 : 0;
    return fclose(s) == 0 ? r : -1;
}

static FILE *a_stream(const char *path)
{
    FILE *s = fopen(path, "r");
    if (!s) {
        abort();
    }
    return s;
}

static void change_contents(void)
{
    STEP(open, change_put(open("new", O_WRONLY | O_CREAT | O_EXCL, 0640)));
    STEP(open64, change_put(open64("file", O_RDWR)));
    STEP(openat, change_put(openat(AT_FDCWD, "new", O_WRONLY | O_CREAT, 0600)));
    STEP(openat64, change_put(openat64(AT_FDCWD, "file", O_WRONLY | O_TRUNC)));
    STEP(__open_2, change_put(__open_2("file", O_WRONLY)));
    STEP(__open64_2, change_put(__open64_2("file", O_WRONLY)));
    STEP(__openat_2, change_put(__openat_2(AT_FDCWD, "file", O_WRONLY)));
    STEP(__openat64_2, change_put(__openat64_2(AT_FDCWD, "link", O_WRONLY)));
    STEP(creat, change_put(creat("new", 0644)));
    STEP(creat64, change_put(creat64("file", 0644)));
    STEP(fopen, change_put_stream(fopen("new", "w")));
    STEP(fopen64, change_put_stream(fopen64("file", "r+")));
    STEP(truncate, truncate("file", 3));
    STEP(truncate64, truncate64("file", 5000));
}

/* Even to nobody else a change of the owner takes the file's set-user-ID bit. */
#define SAME (uid_t) - 1, (gid_t)-1

/* A symlink beside the tree that leads to the folder's file or, dangling, to a new one. */
static const char *foreign(const char *name)
{
    static char link[PATH_MAX];
    char here[PATH_MAX], target[PATH_MAX + 8];
    snprintf(link, sizeof link, "%s/../foreign-%d", family->tree, family->rank);
    snprintf(target, sizeof target, "%s/%s", getcwd(here, sizeof here), name);
    remove(link);
    if (symlink(target, link) != 0) {
        abort();
    }
    errno = 0;
    return link;
}

static void from_outside(void)
{
    STEP(open, change_put(open(foreign("file"), O_WRONLY)));
    STEP(open, change_put(open(foreign("new"), O_WRONLY | O_CREAT, 0600)));
    STEP(openat,
         change_put(openat(family->dirfd, foreign("file") + strlen(family->tree) + 1, O_RDWR)));
    STEP(fopen, change_put_stream(fopen(foreign("file"), "w")));
    STEP(truncate, truncate(foreign("file"), 3));
    STEP(chmod, chmod(foreign("file"), 0600));
    STEP(fchownat, fchownat(AT_FDCWD, foreign("file"), SAME, 0));
    STEP(utimes, utimes(foreign("file"), times_2001));
    STEP(utimensat, utimensat(AT_FDCWD, foreign("file"), times_2004, 0));
}

static void streams(void)
{
    STEP(freopen, change_put_stream(freopen("new", "w", a_stream("file"))));
    STEP(freopen, change_put_stream(freopen("file", "w", a_stream("/dev/null"))));
    STEP(freopen, change_put_stream(freopen("file", "r+", a_stream("file"))));
    STEP(freopen64, change_put_stream(freopen64("new", "wx", a_stream("/dev/null"))));
    STEP(freopen64, change_put_stream(freopen64("file", "a", a_stream("file"))));
    STEP(freopen, change_put_stream(freopen(NULL, "r+", a_stream("file"))));
    STEP(freopen64, change_put_stream(freopen64(NULL, "w", a_stream("file"))));
}

/* --- names --- */

static int old_node(void)
{
    dev_t none = 0;
    return ((old_mknod *)family_symbol("__xmknod"))(0, "new", S_IFREG | 0640, &none);
}

static int old_node_at(void)
{
    dev_t none = 0;
    return ((old_mknodat *)family_symbol("__xmknodat"))(0, AT_FDCWD, "new", S_IFSOCK | 0640, &none);
}

static int bind_to(const void *address, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int r = bind(fd, address, size), err = errno;
    close(fd);
    errno = err;
    return r;
}

static const struct sockaddr_un named = {AF_UNIX, "new"};

static void new_names(void)
{
    STEP(mkdir, mkdir("new", 0700));
    STEP(mkdirat, mkdirat(AT_FDCWD, "new", 0711));
    STEP(symlink, symlink("file", "new"));
    STEP(symlinkat, symlinkat("sub", AT_FDCWD, "new"));
    STEP(link, link("file", "new"));
    STEP(linkat, linkat(AT_FDCWD, "file", AT_FDCWD, "new", 0));
    STEP(linkat, ON_FD(linkat(fd, "", AT_FDCWD, "new", AT_EMPTY_PATH)));
    STEP(mknod, mknod("new", S_IFSOCK | 0600, 0));
    STEP(mknodat, mknodat(AT_FDCWD, "new", S_IFREG | 0600, 0));
    STEP(__xmknod, old_node());
    STEP(__xmknodat, old_node_at());
    STEP(mkfifo, mkfifo("new", 0600));
    STEP(mkfifoat, mkfifoat(AT_FDCWD, "new", 0640));
}

static void old_names(void)
{
    STEP(unlink, unlink("file"));
    STEP(unlinkat, unlinkat(AT_FDCWD, "sub", AT_REMOVEDIR));
    STEP(remove, remove("link"));
    STEP(rmdir, rmdir("sub"));
    STEP(rename, rename("file", "new"));
    STEP(renameat, renameat(AT_FDCWD, "sub", AT_FDCWD, "new"));
    STEP(renameat2, renameat2(AT_FDCWD, "sub", AT_FDCWD, "file", RENAME_EXCHANGE));
}

/* --- attributes --- */

static void change_attributes(void)
{
    STEP(chmod, chmod("file", 0600));
    STEP(lchmod, lchmod("file", 0640));
    STEP(fchmodat, fchmodat(AT_FDCWD, "file", 0444, 0));
    STEP(fchmod, ON_FD(fchmod(fd, 0604)));
    STEP(chown, chown("file", SAME));
    STEP(lchown, lchown("file", SAME));
    STEP(fchownat, fchownat(AT_FDCWD, "link", SAME, 0));
    STEP(fchownat, ON_FD(fchownat(fd, "", SAME, AT_EMPTY_PATH)));
    STEP(fchownat, fchownat(AT_FDCWD, "", 1, 2, AT_EMPTY_PATH)); /* the working directory */
    STEP(fchown, ON_FD(fchown(fd, SAME)));
    STEP(utime, utime("file", &(struct utimbuf){1000000000, 1000000000}));
    STEP(utimes, utimes("file", times_2001));
    STEP(lutimes, lutimes("link", times_2001));
    STEP(futimesat, futimesat(AT_FDCWD, "file", times_2001));
    STEP(futimesat, ON_FD(futimesat(fd, NULL, times_2001)));
    STEP(utimensat, utimensat(AT_FDCWD, "file", times_2004, 0));
    STEP(utimensat, ON_FD(utimensat(fd, "", times_2004, AT_EMPTY_PATH)));
    STEP(utimensat, utimensat(AT_FDCWD, "", times_2004, AT_EMPTY_PATH));
    STEP(futimens, ON_FD(futimens(fd, times_2004)));
    STEP(futimes, ON_FD(futimes(fd, times_2001)));
}

/* --- names that libc makes up --- */

static int shown(const char *path, int fd)
{
    struct stat st;
    int err = errno;
    tr_ret(TRY(stat(path, &st)), "    stat of the temporary");
    if (fd >= 0) {
        close(fd);
    }
    errno = err;
    return fd < 0 ? -1 : 0;
}

#define MADE(call, template)                                                                       \
    ({                                                                                             \
        char name[] = template;                                                                    \
        int fd = call;                                                                             \
        shown(name, fd);                                                                           \
    })

static void change_temporaries(void)
{
    STEP(mkstemp, MADE(mkstemp(name), "temporary-XXXXXX"));
    STEP(mkstemp64, MADE(mkstemp64(name), "temporary-XXXXXX"));
    STEP(mkostemp, MADE(mkostemp(name, O_CLOEXEC), "temporary-XXXXXX"));
    STEP(mkostemp64, MADE(mkostemp64(name, O_CLOEXEC), "temporary-XXXXXX"));
    STEP(mkstemps, MADE(mkstemps(name, 3), "temporary-XXXXXX.py"));
    STEP(mkstemps64, MADE(mkstemps64(name, 3), "temporary-XXXXXX.py"));
    STEP(mkostemps, MADE(mkostemps(name, 3, O_CLOEXEC), "temporary-XXXXXX.py"));
    STEP(mkostemps64, MADE(mkostemps64(name, 3, O_CLOEXEC), "temporary-XXXXXX.py"));
    STEP(mkdtemp, MADE(mkdtemp(name) ? open(name, O_RDONLY) : -1, "temporary-XXXXXX"));
}

/* --- what changes nothing --- */

static void refused_sockets(void)
{
    struct sockaddr_un abstract = {AF_UNIX, ""};
    const struct sockaddr_in inet = {.sin_family = AF_INET};
    const pid_t unique = getpid(); /* other processes see abstract names */
    memcpy(abstract.sun_path + 1, &unique, sizeof unique);
    tr_ret(TRY(bind_to(&abstract, offsetof(struct sockaddr_un, sun_path) + 1 + sizeof unique)),
           "abstract");
    tr_ret(TRY(bind_to(&abstract, offsetof(struct sockaddr_un, sun_path))), "no name");
    tr_ret(TRY(bind_to(&inet, sizeof inet)), "of another family");
    tr_ret(TRY(bind_to(&named, 1000)), "too long");
    tr_ret(TRY(bind_to(&named, (socklen_t)-1)), "of negative length");
    tr_ret(TRY(bind_to(&(struct sockaddr_un){AF_UNIX, "no-such/new"}, sizeof named)), "nowhere");
    tr_ret(TRY(bind_to(&(struct sockaddr_un){AF_UNIX, "file"}, sizeof named)), "taken");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    tr_ret(TRY(bind(fd, (const struct sockaddr *)&inet, sizeof inet)), "of the Internet");
    close(fd);
    tr_ret(TRY(bind(-1, (const struct sockaddr *)&named, sizeof named)), "of no socket");
}

#ifndef __SANITIZE_ADDRESS__ /* which reads arguments before the call does */
static void bad_pointers(void)
{
    char *volatile bad = (char *)8;
    tr_ret(TRY(bind_to(bad, sizeof named)), "bind");
    tr_ptr(TRY(freopen(bad, "w", a_stream("file"))), "freopen");
    tr_ret(TRY(lchmod(bad, 0600)), "lchmod");
    tr_ret(TRY(futimesat(AT_FDCWD, bad, times_2001)), "futimesat");
    tr_ret(TRY(ON_FD(futimesat(fd, bad, times_2001))), "futimesat of a descriptor");
    tr_ret(TRY(((old_mknod *)family_symbol("__xmknod"))(0, bad, S_IFREG, &(dev_t){0})), "__xmknod");
}
#endif

static void nothing_changes(void)
{
    change_enter("(nothing)");
    refused_sockets();
#ifndef __SANITIZE_ADDRESS__
    bad_pointers();
#endif
    tr_ret(TRY(ON_FD(futimesat(fd, "", times_2001))), "futimesat of no name");
    tr_ret(TRY(futimesat(AT_FDCWD, NULL, times_2001)), "futimesat of nothing");
    tr_ret(TRY(((old_mknod *)family_symbol("__xmknod"))(7, "new", S_IFREG, &(dev_t){0})),
           "__xmknod of another version");
    tr_ret(TRY(lchmod("link", 0600)), "lchmod of a link");
    tr_ptr(TRY(freopen("no-such/new", "w", a_stream("file"))), "freopen nowhere");
    tr_ptr(TRY(freopen("new", "q", a_stream("file"))), "freopen in no mode");
    change_look();
}

/* A stream for reading gets its bytes, and its descriptor is the old one. */
static void reading(void)
{
    static const char *const modes[] = {"r", "rb", "re"};
    change_enter("(reading)");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char text[32] = "";
        FILE *s = a_stream("/dev/null");
        int fd = fileno(s);
        s = i == 1 ? TRY(freopen64("link", modes[i], s)) : TRY(freopen("file", modes[i], s));
        tr_ptr(s, "freopen in mode %s", modes[i]);
        if (!s) {
            continue;
        }
        tr_line("    the same descriptor: %d", fileno(s) == fd);
        tr_ret(TRY(fcntl(fd, F_GETFD)), "    F_GETFD");
        tr_line("    %s", fgets(text, sizeof text, s) ? text : "nothing");
        fclose(s);
    }
}

void family_run(const struct family *f)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/rw/%d/%d", f->tree, f->rank, f->touch);
    family = f;
    folder = 0;
    umask(022);
    tr_base(dir, TR_MAPPED);
    change_contents();
    from_outside();
    streams();
    new_names();
    old_names();
    change_attributes();
    change_temporaries();
    nothing_changes();
    reading();
}
