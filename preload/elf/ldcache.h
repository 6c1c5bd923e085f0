/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ldcache.h - looks a name up in the bytes of /etc/ld.so.cache.
 *
 * The format is that of glibc >= 2.2, "glibc-ld.so.cache1.1", alone or behind the old table, with
 * the glibc-hwcaps extension of 2.33 (glibc's sysdeps/generic/dl-cache.h). If a name has entries
 * for the old hwcaps directories (tls, haswell, ...), the answer is "unsure".
 */
#ifndef FASTIMPORT_ELF_LDCACHE_H
#define FASTIMPORT_ELF_LDCACHE_H

#include <stddef.h>

enum fi_ldcache_answer {
    FI_LDCACHE_FOUND,
    FI_LDCACHE_ABSENT, /* also if there is no cache that ld.so would read */
    FI_LDCACHE_UNSURE, /* only ld.so can decide */
};

/* `subdirs` is fi_elf_host.subdirs. *path points into data. */
enum fi_ldcache_answer fi_ldcache_lookup(const void *data, size_t size, const char *name,
                                         const char *subdirs, const char **path);

#endif
