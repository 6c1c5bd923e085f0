/* SPDX-License-Identifier: BSD-3-Clause */
/* host.c - see host.h */
#include "elf/host.h"

#include "elf/dirs.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Debian's directories, if dlinfo() gives none. */
#if defined __x86_64__
#define FALLBACK_DIRS "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib:/usr/lib"
#else
#define FALLBACK_DIRS "/lib64:/usr/lib64:/lib:/usr/lib"
#endif

#if defined __x86_64__
#define HAS(feature) (__builtin_cpu_supports(feature) != 0)

/* Tests the features by which the levels differ, since compilers before GCC 12 do not know the
 * levels by name. */
static int detect_isa_level(void)
{
    if (!(HAS("sse4.2") && HAS("ssse3") && HAS("popcnt"))) {
        return 1;
    }
    if (!(HAS("avx2") && HAS("bmi") && HAS("bmi2") && HAS("fma"))) {
        return 2;
    }
    if (!(HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && HAS("avx512dq") &&
          HAS("avx512vl"))) {
        return 3;
    }
    return 4;
}

void fi_host_traits_detect(struct fi_host_traits *out)
{
    __builtin_cpu_init();
    const char *version = gnu_get_libc_version();
    const char *dot = strchr(version, '.');
    *out = (struct fi_host_traits){
        .glibc_minor = dot != NULL ? (int)strtol(dot + 1, NULL, 10) : 0,
        .isa_level = detect_isa_level(),
        .intel = __builtin_cpu_is("intel") != 0,
        .haswell = HAS("avx2") && HAS("bmi") && HAS("bmi2") && HAS("popcnt"),
        .xeon_phi = HAS("avx512er") && HAS("avx512pf"),
        .avx512_1 = HAS("avx512cd") && HAS("avx512bw") && HAS("avx512dq") && HAS("avx512vl"),
    };
}

const char *fi_host_platform(const struct fi_host_traits *traits)
{
    if (traits->intel && traits->xeon_phi) {
        return "xeon_phi";
    }
    return traits->intel && traits->haswell ? "haswell" : "x86_64";
}
#else
void fi_host_traits_detect(struct fi_host_traits *out)
{
    const char *dot = strchr(gnu_get_libc_version(), '.');
    *out = (struct fi_host_traits){.glibc_minor = dot ? (int)strtol(dot + 1, NULL, 10) : 0};
}

const char *fi_host_platform(const struct fi_host_traits *traits)
{
    (void)traits;
#if defined __aarch64__
    return "aarch64";
#else
    return NULL;
#endif
}
#endif

/* glibc <= 2.36 searched all subsets of these names; the last name has the highest priority. */
static size_t legacy_names(const struct fi_host_traits *traits, const char *names[4])
{
    size_t n = 0;
    if (traits->isa_level) {
        names[n++] = "x86_64";
    }
    if (traits->intel && traits->avx512_1 && !traits->xeon_phi) {
        names[n++] = "avx512_1";
    }
    const char *platform = fi_host_platform(traits);
    if (platform != NULL) {
        names[n++] = platform;
    }
    names[n++] = "tls";
    return n;
}

static void print_legacy(FILE *out, const struct fi_host_traits *traits)
{
    const char *names[4];
    size_t n = legacy_names(traits, names);
    for (unsigned subset = (1U << n) - 1; subset > 0; subset--) {
        const char *separator = "";
        for (size_t i = n; i-- > 0;) {
            if (!(subset & (1U << i))) {
                continue;
            }
            fprintf(out, "%s%s", separator, names[i]);
            separator = "/";
        }
        fputc(':', out);
    }
}

char *fi_host_subdirs(struct fi_pool *pool, const struct fi_host_traits *traits)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    if (traits->glibc_minor >= 33) {
        for (int level = traits->isa_level; level >= 2; level--) {
            fprintf(out, "glibc-hwcaps/x86-64-v%d:", level);
        }
    }
    if (traits->glibc_minor <= 36) {
        print_legacy(out, traits);
    }
    fclose(out);
    char *copy = text != NULL ? fi_pool_strndup(pool, text, size ? size - 1 : 0) : NULL;
    free(text);
    return copy;
}

/* The text of one of this object's own search lists, or NULL. */
static const char *own_list(const struct link_map *map, ElfW(Sxword) tag)
{
    const char *strings = NULL;
    const ElfW(Dyn) *found = NULL;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_STRTAB) {
            strings = (const char *)d->d_un.d_ptr;
        }
        if (d->d_tag == tag) {
            found = d;
        }
    }
    return found != NULL && strings != NULL ? strings + found->d_un.d_val : NULL;
}

/* The number of directories that this object's own RPATH or RUNPATH adds to ld.so's list, in front
 * of the default ones. */
static size_t own_dirs(struct fi_pool *pool, const struct link_map *map)
{
    const char *rpath = own_list(map, DT_RPATH), *runpath = own_list(map, DT_RUNPATH);
    const char **dirs = fi_dirs_split(pool, NULL, runpath != NULL ? runpath : rpath, ":", NULL);
    return dirs != NULL ? fi_dirs_count(dirs) : 0;
}

/* Joins what follows the first `skip` directories of ld.so's list for this object. */
static char *join_serinfo(struct fi_pool *pool, const Dl_serinfo *info, size_t skip)
{
    char *dirs = fi_pool_strdup(pool, "");
    for (size_t i = skip; dirs != NULL && i < info->dls_cnt; i++) {
        dirs = fi_pool_join(pool, dirs, *dirs ? ":" : "", info->dls_serpath[i].dls_name);
    }
    return dirs;
}

static char *system_dirs(struct fi_pool *pool, size_t env_dirs)
{
    Dl_info self;
    struct link_map *map = NULL;
    Dl_serinfo size;
    if (!dladdr1((void *)fi_host_detect, &self, (void **)&map, RTLD_DL_LINKMAP) || map == NULL ||
        dlinfo(map, RTLD_DI_SERINFOSIZE, &size) != 0) {
        return fi_pool_strdup(pool, FALLBACK_DIRS);
    }
    size_t skip = env_dirs + own_dirs(pool, map);
    if (size.dls_cnt <= skip) {
        return fi_pool_strdup(pool, FALLBACK_DIRS);
    }
    Dl_serinfo *info = fi_pool_alloc(pool, size.dls_size);
    if (info == NULL) {
        return NULL;
    }
    *info = size;
    if (dlinfo(map, RTLD_DI_SERINFO, info) != 0) {
        return fi_pool_strdup(pool, FALLBACK_DIRS);
    }
    return join_serinfo(pool, info, skip);
}

/* The build of glibc has one name for its library directory, which is both the first default
 * directory and $LIB. */
static char *lib_token(struct fi_pool *pool, const char *dirs)
{
    const char *start = strncmp(dirs, "/usr/", 5) == 0 ? dirs + 5 : dirs + (*dirs == '/');
    return fi_pool_strndup(pool, start, strcspn(start, ":"));
}

const struct fi_elf_host *fi_host_detect(struct fi_pool *pool, size_t env_dirs)
{
    struct fi_host_traits traits;
    fi_host_traits_detect(&traits);
    struct fi_elf_host *host = fi_pool_alloc(pool, sizeof *host);
    if (host == NULL) {
        return NULL;
    }
    host->platform = fi_host_platform(&traits);
    host->subdirs = fi_host_subdirs(pool, &traits);
    host->system_dirs = system_dirs(pool, env_dirs);
    host->lib = host->system_dirs != NULL ? lib_token(pool, host->system_dirs) : NULL;
    return host->subdirs != NULL && host->lib != NULL ? host : NULL;
}
