/* SPDX-License-Identifier: BSD-3-Clause */
/* fopen, fopen64, and what is done with the stream. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char buf[1 << 20];

static void stream_examine(FILE *s)
{
    struct stat st;
    int fd = fileno(s);
    tr_ret(TRY(fcntl(fd, F_GETFL)), "    F_GETFL");
    tr_ret(TRY(fcntl(fd, F_GETFD)), "    F_GETFD");
    int r = TRY(fstat(fd, &st));
    tr_ret(r, "    fstat");
    if (r == 0) {
        tr_stat(&st);
    }
    size_t n = TRY(fread(buf, 1, sizeof buf, s));
    int err = errno;
    tr_bytes("fread", buf, n);
    tr_line("    feof %d, ferror %d %s", feof(s) != 0, ferror(s) != 0,
            ferror(s) ? tr_errno(err) : "");
    tr_line("    ftell %ld", ftell(s));
    int moved = fseek(s, 2, SEEK_SET), c = fgetc(s);
    tr_line("    fseek %d, fgetc %d, ftell %ld", moved, c, ftell(s));
    tr_line("    fclose %d", fclose(s));
}

/* Only what an open for reading does; a mode that writes is left to write.c. */
static void stream_open_all(const char *path)
{
    static const char *const modes[] = {"r", "rb", "re", "rm", "rce", "rx", "", "z"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        FILE *s = TRY(fopen(path, modes[i]));
        tr_ptr(s, "fopen(%s, %s)", tr_q(path), modes[i]);
        if (s) {
            stream_examine(s);
        }
        s = TRY(fopen64(path, modes[i]));
        tr_ptr(s, "fopen64(%s, %s)", tr_q(path), modes[i]);
        if (s) {
            stream_examine(s);
        }
    }
}

static void stream_reopen(const char *path)
{
    FILE *s = fopen("pkg/data.bin", "r");
    tr_ptr(s, "fopen data.bin");
    if (!s) {
        return;
    }
    FILE *again = TRY(freopen(path, "r", s));
    tr_ptr(again, "freopen(%s)", tr_q(path));
    if (again) {
        stream_examine(again);
    }
}

static void lines(const char *path)
{
    FILE *s = fopen(path, "r");
    while (s && fgets(buf, 64, s)) {
        tr_line("    line %s", tr_q(buf));
    }
    if (s) {
        fclose(s);
    }
}

void family_run(const struct family *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        if (family_blocks(f->paths[i])) {
            continue;
        }
        stream_open_all(f->paths[i]);
        stream_open_all(family_abs(f, f->paths[i]));
        stream_reopen(f->paths[i]);
    }
    lines("pkg/mod.py");
}
