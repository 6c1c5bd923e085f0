/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host.h - what this process's ld.so was built with, and which hwcaps subdirectories it searches.
 *
 * ld.so offers no interface for this. The default directories are read from
 * dlinfo(RTLD_DI_SERINFO), the rest is worked out from the glibc version and the processor, by the
 * rules of glibc 2.31-2.40: glibc-hwcaps/x86-64-v* since 2.33; the older
 * tls/haswell/avx512_1/x86_64 combinations up to 2.36.
 */
#ifndef FASTIMPORT_ELF_HOST_H
#define FASTIMPORT_ELF_HOST_H

#include "elf/closure.h"
#include "elf/pool.h"

/* What decides about subdirectories; a struct of its own so that tests can play other machines. */
struct fi_host_traits {
    int glibc_minor; /* 36 for 2.36 */
    int isa_level;   /* x86-64-vN: 1-4; 0 on other processors */
    int intel;       /* only on Intel's did ld.so use haswell, xeon_phi and avx512_1 */
    int haswell, xeon_phi, avx512_1;
};

void fi_host_traits_detect(struct fi_host_traits *out);

/* NULL: out of memory. `env_dirs` is the number of LD_LIBRARY_PATH directories that ld.so holds,
 * after it dropped duplicates: dlinfo() lists them first. */
const struct fi_elf_host *fi_host_detect(struct fi_pool *pool, size_t env_dirs);

const char *fi_host_platform(const struct fi_host_traits *traits);
char *fi_host_subdirs(struct fi_pool *pool, const struct fi_host_traits *traits);

#endif
