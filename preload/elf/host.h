/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host.h - how this process's ld.so was built, and which hwcaps subdirectories it searches.
 *
 * ld.so has no interface for this. The default directories are read from dlinfo(RTLD_DI_SERINFO).
 * The rest follows from the version of glibc and the processor, by the rules of glibc 2.31 to 2.40:
 * glibc-hwcaps/x86-64-v* since 2.33; the older combinations of tls/haswell/avx512_1/x86_64, on
 * aarch64 of tls/aarch64/atomics, up to 2.36.
 */
#ifndef FASTIMPORT_ELF_HOST_H
#define FASTIMPORT_ELF_HOST_H

#include "elf/closure.h"
#include "elf/pool.h"

/* What decides about the subdirectories. Tests fill it in for other machines. */
struct fi_host_traits {
    int glibc_minor;     /* 36 for 2.36 */
    const char *machine; /* $PLATFORM of a processor without features; NULL: unknown */
    int isa_level;       /* x86-64-vN: 1-4; 0 on other processors */
    int intel;           /* ld.so used haswell, xeon_phi and avx512_1 on Intel processors only */
    int haswell, xeon_phi, avx512_1;
    int atomics; /* aarch64: HWCAP_ATOMICS */
};

/* Detects those of this process. */
void fi_host_traits_detect(struct fi_host_traits *out);

/* Detects this host. NULL: memory is short. `env_dirs`: the number of LD_LIBRARY_PATH directories
 * that ld.so holds, without duplicates, because dlinfo() lists these first. */
const struct fi_elf_host *fi_host_detect(struct fi_pool *pool, size_t env_dirs);

/* $PLATFORM (NULL: unknown) and the hwcaps subdirectories, see struct fi_elf_host. */
const char *fi_host_platform(const struct fi_host_traits *traits);
char *fi_host_subdirs(struct fi_pool *pool, const struct fi_host_traits *traits);

#endif
