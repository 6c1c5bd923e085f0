/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ldcache.h - looking up a name in the bytes of /etc/ld.so.cache.
 *
 * The format is the one of glibc >= 2.2, "glibc-ld.so.cache1.1", alone or after the old table, with
 * the glibc-hwcaps extension of 2.33. Entries for the old hwcaps directories (tls, haswell, ...)
 * are left to ld.so.
 */
#ifndef FASTIMPORT_ELF_LDCACHE_H
#define FASTIMPORT_ELF_LDCACHE_H

#include <stddef.h>

enum fi_ldcache_answer {
    FI_LDCACHE_FOUND,
    FI_LDCACHE_ABSENT, /* also: no cache that ld.so would read */
    FI_LDCACHE_UNSURE, /* an entry that only ld.so can judge */
};

/* `subdirs` is fi_elf_host.subdirs. *path points into data. */
enum fi_ldcache_answer fi_ldcache_lookup(const void *data, size_t size, const char *name,
                                         const char *subdirs, const char **path);

#endif
