/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that write, each between two looks: what the process itself changed it must see at once,
 * through every name of the thing and in the listing of its directory. Works in TREE/rw/RANK/TOUCH.
 */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void look_dir(const char *path)
{
    DIR *d = TRY(opendir(path));
    tr_ptr(d, "    opendir(%s)", tr_q(path));
    if (!d) {
        return;
    }
    const struct dirent *e;
    while ((e = readdir(d))) {
        tr_name_add(e->d_name, e->d_ino, e->d_type);
    }
    tr_names("readdir");
    closedir(d);
}

static void write_look(const char *path)
{
    struct stat st;
    char link[64] = "";
    int r = TRY(lstat(path, &st));
    tr_ret(r, "    lstat(%s)", tr_q(path));
    if (r == 0) {
        tr_stat(&st);
    }
    r = TRY(stat(path, &st));
    tr_ret(r, "    stat(%s)", tr_q(path));
    tr_ret(TRY(access(path, R_OK)), "    access(%s)", tr_q(path));
    ssize_t n = TRY(readlink(path, link, sizeof link - 1));
    tr_ret(n, "    readlink(%s) %s", tr_q(path), tr_q(link));
    int fd = TRY(open(path, O_RDONLY | O_NONBLOCK));
    tr_fd(fd, "    open(%s)", tr_q(path));
    if (fd < 0) {
        return;
    }
    if (S_ISREG(st.st_mode)) {
        family_read_all(fd);
    }
    close(fd);
    if (S_ISDIR(st.st_mode)) {
        look_dir(path);
    }
}

static void write_look_around(void)
{
    static const char *const all[] = {".",     "file", "d",    "d/inner", "d/new",       "new",
                                      "moved", "link", "hard", "sub/mod", "sub/renamed", "sub"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        write_look(all[i]);
    }
}

#define STEP(call)                                                                                 \
    do {                                                                                           \
        tr_ret(TRY(call), "%s", #call);                                                            \
        write_look_around();                                                                       \
    } while (0)

static int write_put(int fd, const char *text)
{
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

static int write_put_stream(const char *path, const char *mode, const char *text)
{
    FILE *s = fopen(path, mode);
    if (!s) {
        return -1;
    }
    int r = fputs(text, s) < 0 ? -1 : 0;
    return fclose(s) == 0 ? r : -1;
}

static void write_contents(void)
{
    STEP(write_put(open("file", O_WRONLY), "WXYZ"));
    STEP(write_put(open("file", O_WRONLY | O_APPEND), "appended"));
    STEP(write_put(open("file", O_RDWR | O_TRUNC), "short"));
    STEP(write_put(open64("new", O_WRONLY | O_CREAT | O_EXCL, 0640), "brand new"));
    STEP(write_put(openat(AT_FDCWD, "d/new", O_WRONLY | O_CREAT, 0600), "below"));
    STEP(write_put(open("new", O_WRONLY | O_CREAT | O_EXCL, 0640), "again"));
    STEP(write_put(creat("sub/mod", 0644), "overwritten"));
    STEP(write_put(creat64("new", 0644), "created"));
    STEP(write_put_stream("file", "w", "by a stream"));
    STEP(write_put_stream("file", "a", ", and more"));
    STEP(write_put_stream("file", "r+", "BY"));
    STEP(truncate("file", 3));
    STEP(truncate64("d/inner", 5000));
}

static void names(void)
{
    STEP(mkdir("d/new", 0700));
    STEP(unlink("d/new"));
    STEP(mkdir("d/new", 0750));
    STEP(rmdir("d/new"));
    STEP(mkdirat(AT_FDCWD, "moved", 0711));
    STEP(rmdir("moved"));
    STEP(rename("new", "moved"));
    STEP(renameat(AT_FDCWD, "moved", AT_FDCWD, "d/new"));
    STEP(renameat2(AT_FDCWD, "d/new", AT_FDCWD, "file", RENAME_EXCHANGE));
    STEP(renameat2(AT_FDCWD, "d/new", AT_FDCWD, "file", RENAME_NOREPLACE));
    STEP(rename("sub", "moved")); /* a directory and all below it */
    STEP(rename("moved", "sub"));
    STEP(rename("sub/mod", "sub/renamed"));
    STEP(symlink("file", "link"));
    STEP(unlink("link"));
    STEP(symlinkat("d", AT_FDCWD, "link"));
    STEP(unlinkat(AT_FDCWD, "link", 0));
    STEP(link("file", "hard"));
    STEP(write_put(open("hard", O_WRONLY | O_TRUNC), "through the other name"));
    STEP(unlink("hard"));
    STEP(linkat(AT_FDCWD, "d/inner", AT_FDCWD, "hard", 0));
    STEP(remove("hard"));
    STEP(remove("sub"));
    STEP(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
}

static int on_fd(int (*change)(int), const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    int r = change(fd), err = errno;
    close(fd);
    errno = err;
    return r;
}

static int to_0604(int fd)
{
    return fchmod(fd, 0604);
}

static int to_same_owner(int fd)
{
    return fchown(fd, (uid_t)-1, (gid_t)-1);
}

static int to_2001(int fd)
{
    static const struct timespec t[2] = {{1000000000, 1}, {1000000000, 123456789}};
    return futimens(fd, t);
}

static int to_2004(const char *path, int flags)
{
    static const struct timespec t[2] = {{1100000000, 1}, {1100000000, 987654321}};
    return utimensat(AT_FDCWD, path, t, flags);
}

static void write_attributes(void)
{
    STEP(chmod("file", 0600));
    STEP(fchmodat(AT_FDCWD, "d/inner", 0444, 0));
    STEP(on_fd(to_0604, "file")); /* the file is open for reading only, and served */
    STEP(on_fd(to_0604, "d"));
    STEP(on_fd(to_same_owner, "file"));
    STEP(on_fd(to_2001, "file"));
    STEP(to_2004("file", 0));
    STEP(to_2004("sub", AT_SYMLINK_NOFOLLOW));
    STEP(chmod("sub", 0711));
}

static int count_entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

static int temporary(char *(*name)(char *, int *), const char *template)
{
    char path[64];
    int fd = -1;
    snprintf(path, sizeof path, "%s", template);
    if (!name(path, &fd)) {
        return -1;
    }
    tr_line("    %zu characters, %d entries", strlen(path), count_entries("sub2"));
    struct stat st;
    tr_ret(TRY(stat(path, &st)), "    stat of the temporary");
    if (fd >= 0) {
        close(fd);
    }
    int r = remove(path);
    tr_ret(TRY(stat(path, &st)), "    stat once removed");
    tr_line("    %d entries", count_entries("sub2"));
    return r;
}

static char *by_mkstemp(char *path, int *fd)
{
    *fd = mkstemp(path);
    return *fd < 0 ? NULL : path;
}

static char *by_mkostemps(char *path, int *fd)
{
    *fd = mkostemps(path, 3, O_CLOEXEC);
    return *fd < 0 ? NULL : path;
}

static char *by_mkdtemp(char *path, int *fd)
{
    *fd = -1;
    return mkdtemp(path);
}

/* The names are random, so they are counted and not shown. */
static void write_temporaries(void)
{
    struct stat st;
    tr_line("%d entries", count_entries("sub2"));
    tr_ret(temporary(by_mkstemp, "sub2/tXXXXXX"), "mkstemp");
    tr_ret(temporary(by_mkostemps, "sub2/tXXXXXX.py"), "mkostemps");
    tr_ret(temporary(by_mkdtemp, "sub2/tXXXXXX"), "mkdtemp");
    tr_ret(temporary(by_mkstemp, "none/tXXXXXX"), "mkstemp in no directory");
    tr_ret(TRY(stat("sub2", &st)), "stat sub2");
    int fd = TRY(open("sub2", O_TMPFILE | O_RDWR, 0600));
    tr_ret(write_put(fd, "nameless"), "O_TMPFILE");
}

/* A descriptor taken before the change keeps what it had: the old inode, its bytes and offset. */
static void held_open(void)
{
    int fd = open("keep", O_RDONLY);
    struct stat st;
    char b[4] = "";
    tr_ret(TRY(read(fd, b, 2)), "read of keep");
    tr_ret(TRY(unlink("keep")), "unlink of keep while open");
    family_read_all(fd);
    tr_ret(TRY(fstat(fd, &st)), "fstat of the nameless");
    tr_stat(&st);
    tr_ret(write_put(open("keep", O_WRONLY | O_CREAT, 0644), "another"), "a new keep");
    write_look("keep");
    tr_ret(TRY(lseek(fd, 0, SEEK_SET)), "back");
    family_read_all(fd);
    close(fd);
}

void family_run(const struct family *f)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/rw/%d/%d", f->tree, f->rank, f->touch);
    if (chdir(dir) != 0) {
        abort();
    }
    umask(022);
    tr_base(dir, TR_MAPPED);
    write_look_around(); /* the cache now holds it all */
    write_contents();
    names();
    write_attributes();
    write_temporaries();
    held_open();
}
