/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * build_elf.h - makes the smallest files that ld.so's search would take for libraries, and
 * ld.so.cache files.
 *
 * Both return the size; the buffers must be large enough (BUILD_MAX is).
 */
#ifndef FASTIMPORT_TESTS_ELF_BUILD_ELF_H
#define FASTIMPORT_TESTS_ELF_BUILD_ELF_H

#include <stddef.h>
#include <stdint.h>

enum { BUILD_MAX = 8192, BUILD_NEEDED_MAX = 16 };

/* What stands in the dynamic section; NULL or 0: not there. */
struct elf_spec {
    const char *soname, *rpath, *runpath, *auxiliary;
    const char *needed[BUILD_NEEDED_MAX];
    uint64_t flags_1;
};

size_t build_elf(uint8_t *out, const struct elf_spec *spec);

/* One line of the cache. They must come in ldconfig's order: greater names first, hwcaps entries
 * before others. */
struct cache_line {
    const char *name, *path;
    uint32_t flags;     /* 0: those of this machine */
    const char *hwcaps; /* e.g. "x86-64-v3", or NULL */
    unsigned isa_level;
    uint64_t hwcap; /* of the old kind */
};

/* with_old: an (empty) table of the old format goes before. */
size_t build_cache(uint8_t *out, const struct cache_line *lines, size_t n, int with_old);

#endif
