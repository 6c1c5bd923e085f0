/* SPDX-License-Identifier: BSD-3-Clause */
/* host.c - see host.h */
#include "elf/host.h"

#include "elf/dirs.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdbool.h>
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
#include <cpuid.h>

/* The processor's features as cpuid gives them. The compiler's own interface,
 * __builtin_cpu_supports(), needs a run-time library that not every compiler brings, and drops the
 * names of old processors. */
struct cpu_features {
    unsigned basic;    /* leaf 1, ecx */
    unsigned extended; /* leaf 7, ebx; without what the kernel does not save */
    bool intel;
};

enum {
    CPU_V2 = bit_SSE4_2 | bit_SSSE3 | bit_POPCNT, /* in `basic` */
    CPU_AVX2 = bit_AVX2 | bit_BMI | bit_BMI2,     /* from here on in `extended` */
    CPU_AVX512_1 = bit_AVX512CD | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL,
    CPU_V4 = CPU_AVX512_1 | bit_AVX512F,
    CPU_XEON_PHI = 1 << 27 | 1 << 26, /* avx512er, avx512pf */
    CPU_WIDE = bit_AVX2 | CPU_V4 | CPU_XEON_PHI,
};

/* The registers whose contents the kernel saves (XCR0). */
static unsigned saved_registers(unsigned basic)
{
    unsigned low = 0, high;

    if ((basic & bit_OSXSAVE) != 0) {
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    }
    return low;
}

static struct cpu_features read_cpu_features(void)
{
    enum { SAVES_AVX = 0x6, SAVES_AVX512 = 0xe6 };
    struct cpu_features f = {0};
    unsigned a, b, c, d, saved;

    if (__get_cpuid(0, &a, &b, &c, &d)) {
        f.intel = b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
    }
    __get_cpuid(1, &a, &b, &f.basic, &d);
    __get_cpuid_count(7, 0, &a, &f.extended, &c, &d);
    saved = saved_registers(f.basic);
    if ((saved & SAVES_AVX) != SAVES_AVX) {
        f.basic &= ~(unsigned)(bit_AVX | bit_FMA);
        f.extended &= ~(unsigned)CPU_WIDE;
    } else if ((saved & SAVES_AVX512) != SAVES_AVX512) {
        f.extended &= ~(unsigned)(CPU_V4 | CPU_XEON_PHI);
    }
    return f;
}

static bool has_all(unsigned features, unsigned wanted)
{
    return (features & wanted) == wanted;
}

/* Tests the features by which the levels differ. */
static int isa_level_of(const struct cpu_features *f)
{
    if (!has_all(f->basic, CPU_V2)) {
        return 1;
    }
    if (!has_all(f->extended, CPU_AVX2) || !has_all(f->basic, bit_FMA)) {
        return 2;
    }
    return has_all(f->extended, CPU_V4) ? 4 : 3;
}

static void detect_processor(struct fi_host_traits *out)
{
    struct cpu_features f = read_cpu_features();

    out->machine = "x86_64";
    out->isa_level = isa_level_of(&f);
    out->intel = f.intel;
    out->haswell = has_all(f.extended, CPU_AVX2) && has_all(f.basic, bit_POPCNT);
    out->xeon_phi = has_all(f.extended, CPU_XEON_PHI);
    out->avx512_1 = has_all(f.extended, CPU_AVX512_1);
}
#elif defined __aarch64__
#include <sys/auxv.h>

static void detect_processor(struct fi_host_traits *out)
{
    out->machine = "aarch64";
    out->atomics = (getauxval(AT_HWCAP) & HWCAP_ATOMICS) != 0;
}
#else
static void detect_processor(struct fi_host_traits *out)
{
    out->machine = NULL;
}
#endif

void fi_host_traits_detect(struct fi_host_traits *out)
{
    const char *dot = strchr(gnu_get_libc_version(), '.');

    *out = (struct fi_host_traits){.glibc_minor = dot != NULL ? (int)strtol(dot + 1, NULL, 10) : 0};
    detect_processor(out);
}

const char *fi_host_platform(const struct fi_host_traits *traits)
{
    if (traits->intel && traits->xeon_phi) {
        return "xeon_phi";
    }
    return traits->intel && traits->haswell ? "haswell" : traits->machine;
}

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
    if (traits->atomics) {
        names[n++] = "atomics";
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
