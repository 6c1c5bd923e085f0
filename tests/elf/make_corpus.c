/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * make_corpus DIR: writes the seeds for fuzz_closure into a directory that exists.
 */
#include <elf.h>
#include <stdio.h>

#include "build_elf.h"

static const struct cache_line lines[] = {
    {"libd.so", "/usr/lib/glibc-hwcaps/x86-64-v3/libd.so", 0, "x86-64-v3", 2, 0},
    {"libd.so", "/usr/lib/libd.so", 0, NULL, 0, 0},
    {"libc3.so", "/usr/lib/libc3.so", 0x103, NULL, 0, 0},
    {"libb.so.10", "/usr/lib/libb.so.10", 0, NULL, 0, 1},
};

/* The requested library, what it needs, and the cache. */
struct seed {
    const char *name;
    struct elf_spec files[3];
    int with_old_cache;
};

static const struct seed seeds[] = {
    {"plain",
     {{.needed = {"libb.so", "libd.so"}}, {.soname = "libb.so"}, {.soname = "libc3.so"}},
     0},
    {"rpath",
     {{.needed = {"libc3.so"}, .rpath = "$ORIGIN/lib:/x"},
      {.soname = "b"},
      {.needed = {"libd.so", "libc.so.6"}}},
     1},
    {"runpath",
     {{.needed = {"$ORIGIN/lib/libb.so"}, .runpath = "${ORIGIN}/$LIB::"},
      {.needed = {"/env/liba.so", "libc3.so"}, .soname = "libb.so"},
      {.auxiliary = "libmissing.so", .flags_1 = DF_1_NODEFLIB, .needed = {"libd.so"}}},
     0},
    {"tokens",
     {{.needed = {"libb.so.10"}, .runpath = "$PLATFORM/$X/${LIB}x:$ORIGINAL"}, {0}, {0}},
     1},
};

static void make_corpus_append(FILE *out, const uint8_t *data, size_t size)
{
    fputc((int)(size & 255), out);
    fputc((int)(size >> 8 & 255), out);
    fputc((int)(size >> 16), out);
    fwrite(data, 1, size, out);
}

static int write_seed(const char *dir, const struct seed *seed)
{
    char path[4096];
    uint8_t data[BUILD_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, seed->name);
    FILE *out = fopen(path, "wb");
    if (!out) {
        perror(path);
        return 1;
    }
    fputc(5, out);
    for (int i = 0; i < 3; i++)
        make_corpus_append(out, data, build_elf(data, &seed->files[i]));
    make_corpus_append(
        out, data, build_cache(data, lines, sizeof lines / sizeof *lines, seed->with_old_cache));
    make_corpus_append(out, data, build_elf(data, &(struct elf_spec){.soname = "libd.so"}));
    return fclose(out) != 0;
}

int main(int argc, char **argv)
{
    int status = argc == 2 ? 0 : 2;
    for (size_t i = 0; status == 0 && i < sizeof seeds / sizeof *seeds; i++)
        status = write_seed(argv[1], &seeds[i]);
    return status;
}
