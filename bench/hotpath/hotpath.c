/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hotpath.c - measures what one call costs: served, passed through, and by libc alone.
 *
 *   hotpath make TREE FOREIGN    makes both directories
 *   hotpath TREE FOREIGN         measures, and prints one line for each kind of call:
 *                                NAME MEDIAN MIN MAX (ns of one call, over ROUNDS rounds)
 *
 * bench/hotpath/run runs it with and without the library. fastimport recognises a Python by the
 * symbol Py_Initialize, which -rdynamic exports.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 15, CALLS = 20000, ENTRIES = 32, NAME_SIZE = 64 };

static char file[PATH_MAX];
static char missing[PATH_MAX];
static char link_name[PATH_MAX];
static char directory[PATH_MAX];

int Py_Initialize(void);

int Py_Initialize(void)
{
    return 0;
}

static void die_of_errno(const char *what)
{
    fprintf(stderr, "hotpath: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void die_unless(int right, const char *what)
{
    if (!right) {
        die_of_errno(what);
    }
}

static void call_stat(void)
{
    struct stat st;

    die_unless(stat(file, &st) == 0, "stat");
}

static void call_lstat(void)
{
    struct stat st;

    die_unless(lstat(file, &st) == 0, "lstat");
}

static void call_missing(void)
{
    struct stat st;

    die_unless(stat(missing, &st) == -1 && errno == ENOENT, "stat of a missing name");
}

static void call_access(void)
{
    die_unless(access(file, R_OK) == 0, "access");
}

static void call_readlink(void)
{
    char buf[256];

    die_unless(readlink(link_name, buf, sizeof buf) > 0, "readlink");
}

static void call_open_close(void)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    die_unless(fd >= 0 && close(fd) == 0, "open");
}

static void call_list_directory(void)
{
    DIR *d = opendir(directory);
    int n = 0;

    die_unless(d != NULL, "opendir");
    while (readdir(d) != NULL) {
        n++;
    }
    die_unless(n >= ENTRIES && closedir(d) == 0, "readdir");
}

static const struct {
    const char *name;
    void (*call)(void);
    int divisor; /* CALLS / divisor calls in a round: fewer of the slow ones */
} families[] = {
    {"stat", call_stat, 1},
    {"lstat", call_lstat, 1},
    {"stat-missing", call_missing, 1},
    {"access", call_access, 1},
    {"readlink", call_readlink, 1},
    {"open-close", call_open_close, 4},
    {"list-directory", call_list_directory, 8},
};

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0644);

    if (fd < 0 && errno == EROFS) {
        return;
    }
    die_unless(fd >= 0 && write(fd, "x = 1\n", 6) == 6 && close(fd) == 0, path);
}

/* Names the files of TREE/lib/python3.11/site-packages/package, a path as long and deep as those of
 * a Python environment. */
static void name_all(const char *tree)
{
    snprintf(directory, sizeof directory, "%s/lib/python3.11/site-packages/package", tree);
    snprintf(file, sizeof file, "%.4000s/module.py", directory);
    snprintf(missing, sizeof missing, "%.4000s/no_such_module.py", directory);
    snprintf(link_name, sizeof link_name, "%.4000s/link", directory);
}

static void make_tree(const char *tree)
{
    char path[PATH_MAX + NAME_SIZE];

    name_all(tree);
    for (char *p = directory + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(directory, 0755);
        *p = '/';
    }
    mkdir(directory, 0755);
    touch(file);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(path, sizeof path, "%s/m%02d.py", directory, i);
        touch(path);
    }
    if (symlink("module.py", link_name) != 0 && errno != EEXIST) {
        die_of_errno(link_name);
    }
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure_family(const char *where, size_t i)
{
    double rounds[ROUNDS];
    int calls = CALLS / families[i].divisor;

    families[i].call(); /* the first one fills the cache */
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_ns();

        for (int n = 0; n < calls; n++) {
            families[i].call();
        }
        rounds[r] = (now_ns() - start) / calls;
    }
    qsort(rounds, ROUNDS, sizeof *rounds, by_size);
    printf("%s/%s %.1f %.1f %.1f\n", where, families[i].name, rounds[ROUNDS / 2], rounds[0],
           rounds[ROUNDS - 1]);
}

static void measure_all(const char *where, const char *tree)
{
    name_all(tree);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        measure_family(where, i);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "make") == 0) {
        make_tree(argv[2]);
        make_tree(argv[3]);
        return 0;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: hotpath make TREE FOREIGN; hotpath TREE FOREIGN\n");
        return 2;
    }
    name_all(argv[1]);
    call_list_directory(); /* Python's finders list a directory before they ask for names in it */
    measure_all("tree", argv[1]);
    measure_all("foreign", argv[2]);
    if (chdir(argv[2]) != 0) {
        die_of_errno(argv[2]);
    }
    strcpy(file, "lib/python3.11/site-packages/package/module.py");
    measure_family("relative", 0);
    return 0;
}
