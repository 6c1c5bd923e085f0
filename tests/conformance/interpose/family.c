/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CORPUS_MAX (1 << 20)
#define PATHS_MAX  1024

int Py_Initialize(void);

int Py_Initialize(void)
{
    return 0;
}

bool family_blocks(const char *path)
{
    return strstr(path, "fifo") != NULL;
}

const char *family_abs(const struct family *f, const char *path)
{
    static char ring[4][16384];
    static unsigned next;
    char *buf = ring[next++ % 4];
    snprintf(buf, sizeof ring[0], "%s/%s", f->tree, path);
    return buf;
}

void family_read_all(int fd)
{
    static char buf[1 << 20];
    size_t used = 0;
    ssize_t n;
    while (used < sizeof buf && (n = TRY(read(fd, buf + used, sizeof buf - used))) > 0) {
        used += (size_t)n;
    }
    if (n < 0) {
        tr_ret(n, "    read");
    } else {
        tr_bytes("read", buf, used);
    }
}

void *family_symbol(const char *name)
{
    void *sym = dlsym(RTLD_DEFAULT, name);
    if (!sym) {
        fprintf(stderr, "interpose: libc has no %s\n", name);
        exit(3);
    }
    return sym;
}

static void die(const char *what)
{
    fprintf(stderr, "interpose: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void load_corpus(struct family *f, const char *file)
{
    static char text[CORPUS_MAX + 1];
    static const char *paths[PATHS_MAX];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY);
    long size = fd < 0 ? -1 : syscall(SYS_read, fd, text, CORPUS_MAX);
    if (size < 0) {
        die(file);
    }
    syscall(SYS_close, fd);
    f->paths = paths;
    for (const char *p = text; p < text + size && f->n_paths < PATHS_MAX; p += strlen(p) + 1) {
        paths[f->n_paths++] = p;
    }
}

int main(int argc, char **argv)
{
    struct family f = {0};
    char out[4096];

    if (argc != 4) {
        fprintf(stderr, "usage: %s TREE CORPUS OUT\n", argv[0]);
        return 2;
    }
    const char *rank = getenv("PMI_RANK");
    f.rank = rank ? atoi(rank) : 0;
    f.tree = argv[1];
    load_corpus(&f, argv[2]);
    snprintf(out, sizeof out, "%s.%d", argv[3], f.rank);
    if (tr_open(out) != 0) {
        die(out);
    }
    f.dirfd = (int)syscall(SYS_openat, AT_FDCWD, f.tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f.dirfd < 0) {
        die(f.tree);
    }
    tr_base(f.tree, TR_EXACT);
    for (f.touch = 1; f.touch <= 2; f.touch++) {
        if (chdir(f.tree) != 0) {
            die(f.tree);
        }
        tr_line("== touch %d", f.touch);
        family_run(&f);
    }
    tr_line("== end");
    close(f.dirfd);
    tr_close();
    return 0;
}
