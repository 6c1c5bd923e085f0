/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_closure.c - fi_closure_compute() on files that mean it ill.
 *
 * An input is a container: a byte for the number of files, then for each a 3-byte little-endian
 * length and its bytes. Files are the requested library, those it may need, and /etc/ld.so.cache.
 * Built with -fsanitize=fuzzer it is a libFuzzer target; with -DREPLAY a program that replays the
 * files it is given, and mutations of them from a fixed seed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/closure.h"
#include "memory_source.h"

static const char *const paths[] = {"/env/liba.so", "/env/lib/libb.so", "/env/lib/libc3.so",
                                    "/etc/ld.so.cache", "/usr/lib/libd.so"};
enum { N_PATHS = sizeof paths / sizeof *paths };

static const struct fi_elf_host host = {"x86_64", "lib64", "/lib64:/usr/lib",
                                        "glibc-hwcaps/x86-64-v3:glibc-hwcaps/x86-64-v2:tls"};

static void unpack(const uint8_t *data, size_t size, struct memory_files *files)
{
    size_t n = size ? data[0] : 0, at = 1;
    for (size_t i = 0; i < n && i < N_PATHS && size - at >= 3 && at < size; i++) {
        size_t length = data[at] | data[at + 1] << 8 | (size_t)data[at + 2] << 16;
        at += 3;
        if (length > size - at)
            length = size - at;
        memory_add(files, paths[i], data + at, length);
        at += length;
    }
}

/* A closure that looks complete has no gaps. */
static void fuzz_closure_check(enum fi_closure_status status, const struct fi_closure *closure)
{
    if ((status == FI_CLOSURE_OK) != (closure->n_libs > 0))
        abort();
    for (size_t i = 0; i < closure->n_libs; i++)
        if (!closure->libs[i].path || !closure->libs[i].names || !closure->libs[i].names[0])
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_files files = {.n = 0};
    struct fi_elf_source source;
    struct fi_closure closure;
    const struct fi_elf_loader executable = {.path = "/usr/bin/python3"};
    const struct fi_elf_loaded libc = {
        .name = "/lib/libc.so.6", .path = "/lib/libc.so.6", .soname = "libc.so.6"};
    memory_source(&files, &source);
    unpack(data, size, &files);
    struct fi_closure_request request = {.path = paths[0],
                                         .loaders = &executable,
                                         .n_loaders = 1,
                                         .loaded = &libc,
                                         .n_loaded = 1,
                                         .ld_library_path = "/env/lib:/env",
                                         .cwd = "/",
                                         .host = &host,
                                         .source = &source};
    enum fi_closure_status status = fi_closure_compute(&request, &closure);
    fuzz_closure_check(status, &closure);
    fi_closure_free(&closure);
    if (files.still_open)
        abort();
    return 0;
}

#ifdef REPLAY
enum { INPUT_MAX = 1 << 20 };

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

/* A few bytes become others, or interesting numbers; sometimes the end is cut off. */
static size_t mutate(uint8_t *data, size_t size, uint32_t *state)
{
    static const uint32_t numbers[] = {0,          1,          7,          0x7fffffff,
                                       0x80000000, 0xffffffff, 0xfffffff8, 0x1000};
    for (uint32_t edits = 1 + next_random(state) % 6; edits > 0 && size > 8; edits--) {
        size_t at = next_random(state) % (size - 8);
        if (next_random(state) % 2)
            data[at] = (uint8_t)next_random(state);
        else
            memcpy(data + at, &numbers[next_random(state) % 8], 4);
    }
    return next_random(state) % 8 == 0 && size ? next_random(state) % size : size;
}

static size_t read_input(const char *path, uint8_t *data)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    size_t size = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    return size;
}

/* fuzz_closure ROUNDS FILE... */
int main(int argc, char **argv)
{
    static uint8_t seed[INPUT_MAX], data[INPUT_MAX];
    uint32_t state = 20240229;
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 0, runs = 0;
    for (int i = 2; i < argc; i++) {
        size_t size = read_input(argv[i], seed);
        LLVMFuzzerTestOneInput(seed, size);
        for (long round = 0; round < rounds; round++, runs++) {
            memcpy(data, seed, size);
            LLVMFuzzerTestOneInput(data, mutate(data, size, &state));
        }
    }
    printf("%ld inputs, %d seeds\n%d passed, 0 failed\n", runs, argc - 2, argc > 2 ? 1 : 0);
    return argc > 2 ? 0 : 1;
}
#endif
