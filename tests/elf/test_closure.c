/* SPDX-License-Identifier: BSD-3-Clause */
/* Unit tests of preload/elf with files in memory; what ld.so itself does is compared in the rules
 * beside this. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "build_elf.h"
#include "elf/closure.h"
#include "elf/dirs.h"
#include "elf/host.h"
#include "elf/ldcache.h"
#include "memory_source.h"

static const struct fi_elf_host host = {"plat", "lib64", "/lib64:/usr/lib64",
                                        "glibc-hwcaps/x86-64-v2"};

/* One test's world: files, a request that can be changed, and the outcome. */
struct world {
    struct memory_files files;
    uint8_t bytes[MEMORY_FILES_MAX][BUILD_MAX];
    struct fi_elf_source source;
    struct fi_elf_loader loaders[3];
    struct fi_closure_request request;
    struct fi_closure closure;
};

static int closure_setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        return -1;
    memory_source(&world->files, &world->source);
    world->loaders[0].path = "/usr/bin/python3";
    world->request = (struct fi_closure_request){.path = "/env/liba.so",
                                                 .loaders = world->loaders,
                                                 .n_loaders = 1,
                                                 .cwd = "/job",
                                                 .host = &host,
                                                 .source = &world->source};
    *state = world;
    return 0;
}

static int closure_teardown(void **state)
{
    struct world *world = *state;
    int leaked = world->files.still_open != 0;
    fi_closure_free(&world->closure);
    free(world);
    return leaked;
}

static struct memory_file *closure_add(struct world *world, const char *path,
                                       const struct elf_spec *spec)
{
    uint8_t *bytes = world->bytes[world->files.n];
    return memory_add(&world->files, path, bytes, build_elf(bytes, spec));
}

#define LIBRARY(world, path, ...) closure_add(world, path, &(struct elf_spec){__VA_ARGS__})

static void add_cache(struct world *world, const struct cache_line *lines, size_t n)
{
    uint8_t *bytes = world->bytes[world->files.n];
    memory_add(&world->files, "/etc/ld.so.cache", bytes, build_cache(bytes, lines, n, 0));
}

static enum fi_closure_status compute_closure(struct world *world)
{
    fi_closure_free(&world->closure);
    return fi_closure_compute(&world->request, &world->closure);
}

/* The paths of the closure, already loaded ones in parentheses. */
static void assert_libs(struct world *world, const char *expected)
{
    char text[4096] = "";
    assert_int_equal(compute_closure(world), FI_CLOSURE_OK);
    for (size_t i = 0; i < world->closure.n_libs; i++) {
        const struct fi_closure_lib *lib = &world->closure.libs[i];
        strcat(text, i ? " " : "");
        strcat(text, lib->already_loaded ? "(" : "");
        strcat(text, lib->path);
        strcat(text, lib->already_loaded ? ")" : "");
    }
    assert_string_equal(text, expected);
}

static void assert_failure(struct world *world, enum fi_closure_status status, const char *culprit)
{
    assert_int_equal(compute_closure(world), status);
    assert_int_equal(world->closure.n_libs, 0);
    assert_string_equal(world->closure.culprit, culprit);
}

/* For its own needs and for those of what it needs. */
static void runpath_makes_rpath_void(void **state)
{
    LIBRARY(*state, "/env/liba.so", .needed = {"libb.so"}, .rpath = "/r", .runpath = "/rr");
    LIBRARY(*state, "/r/libb.so", .soname = "libb.so");
    struct memory_file *file = LIBRARY(*state, "/rr/libb.so", .soname = "libb.so");
    assert_libs(*state, "/rr/libb.so /env/liba.so");
    LIBRARY(*state, "/r/libc3.so", .soname = "libc3.so");
    file->size = build_elf((uint8_t *)file->data, &(struct elf_spec){.needed = {"libc3.so"}});
    assert_failure(*state, FI_CLOSURE_NOT_FOUND, "libc3.so");
}

static void rpath_chain_of_a_bare_name(void **state)
{
    struct world *world = *state;
    world->request.path = "libp.so";
    world->request.n_loaders = 3;
    world->loaders[0] = (struct fi_elf_loader){.path = "/c/caller.so"};
    world->loaders[1] = (struct fi_elf_loader){.path = "/c/parent.so", .rpath = "$ORIGIN/plugins"};
    world->loaders[2] = (struct fi_elf_loader){.path = "/bin/exe", .rpath = "/exe"};
    LIBRARY(world, "/exe/libp.so", .soname = "libp.so");
    assert_libs(world, "/exe/libp.so");
    LIBRARY(world, "/c/plugins/libp.so", .soname = "libp.so");
    assert_libs(world, "/c/plugins/libp.so");
    world->loaders[0].runpath = "/nothing";
    assert_failure(world, FI_CLOSURE_NOT_FOUND, "libp.so");
}

/* The caller's path serves to find the library, not what that one needs: ld.so forgets who called
 * dlopen. */
static void callers_rpath_ends_with_the_library(void **state)
{
    struct world *world = *state;
    world->request.path = "libp.so";
    world->request.n_loaders = 2;
    world->loaders[0] = (struct fi_elf_loader){.path = "/c/caller.so", .rpath = "/plugins"};
    world->loaders[1] = (struct fi_elf_loader){.path = "/bin/exe"};
    LIBRARY(world, "/plugins/libp.so", .soname = "libp.so", .needed = {"libq.so"});
    LIBRARY(world, "/plugins/libq.so", .soname = "libq.so");
    assert_failure(world, FI_CLOSURE_NOT_FOUND, "libq.so");
}

static void caller_without_default_dirs(void **state)
{
    struct world *world = *state;
    world->request.path = "libp.so";
    LIBRARY(world, "/lib64/libp.so", .soname = "libp.so");
    assert_libs(world, "/lib64/libp.so");
    world->loaders[0].nodeflib = 1;
    assert_failure(world, FI_CLOSURE_NOT_FOUND, "libp.so");
}

static void loaded_objects_are_recognised(void **state)
{
    struct world *world = *state;
    static const char *const aliases[] = {"libalias.so", NULL};
    const struct fi_elf_loaded loaded[] = {
        {.name = "", .path = "/usr/bin/python3"},
        {.name = "/l/one.so", .path = "/l/one.so", .soname = "libone.so"},
        {.name = "/l/two.so", .path = "/l/two.so", .aliases = aliases},
        {.name = "/l/three.so", .path = "/l/three.so", .dev = 1, .ino = 77},
        {.name = "/l/four.so", .path = "/l/four.so"},
    };
    world->request.loaded = loaded;
    world->request.n_loaded = 5;
    LIBRARY(world, "/env/liba.so", .runpath = "/env",
            .needed = {"libone.so", "libalias.so", "libthree.so", "libfour.so", "/l/one.so"});
    LIBRARY(world, "/env/libthree.so", .soname = "x")->ino = 77;
    LIBRARY(world, "/env/libfour.so", .soname = "y")->ino = 78;
    LIBRARY(world, "/l/four.so", .soname = "y")->ino = 78;
    assert_libs(world, "(/l/four.so) (/l/three.so) (/l/two.so) (/l/one.so) /env/liba.so");
}

static void requested_library_is_loaded(void **state)
{
    struct world *world = *state;
    const struct fi_elf_loaded loaded = {.name = "/env/liba.so", .path = "/env/liba.so"};
    world->request.loaded = &loaded;
    world->request.n_loaded = 1;
    assert_libs(world, "(/env/liba.so)");
    assert_int_equal(world->closure.probed, 0);
}

static void names_tell_how_it_was_asked_for(void **state)
{
    struct world *world = *state;
    LIBRARY(world, "/env/liba.so", .needed = {"libb.so", "libb.so.1", "libother.so"},
            .runpath = "/env");
    LIBRARY(world, "/env/libb.so", .soname = "libb.so.1");
    LIBRARY(world, "/env/libother.so", .soname = "libb.so.1")->ino = 1000 + 1;
    assert_libs(world, "/env/libb.so /env/liba.so");
    const struct fi_closure_lib *lib = &world->closure.libs[0];
    assert_string_equal(lib->names[0], "libb.so");
    assert_string_equal(lib->names[1], "libb.so.1");
    assert_string_equal(lib->names[2], "libother.so");
    assert_null(lib->names[3]);
    assert_string_equal(lib->soname, "libb.so.1");
}

static void cycles_are_marked(void **state)
{
    struct world *world = *state;
    LIBRARY(world, "/env/liba.so", .needed = {"libb.so"}, .runpath = "/env");
    LIBRARY(world, "/env/libb.so", .needed = {"libc3.so"}, .soname = "libb.so", .runpath = "/env");
    LIBRARY(world, "/env/libc3.so", .needed = {"libb.so"}, .soname = "libc3.so", .runpath = "/env");
    assert_libs(world, "/env/libb.so /env/libc3.so /env/liba.so");
    assert_true(world->closure.libs[0].in_cycle);
    assert_false(world->closure.libs[1].in_cycle);
    assert_false(world->closure.libs[2].in_cycle);
}

static void relative_names_start_from_cwd(void **state)
{
    struct world *world = *state;
    world->request.path = "./liba.so";
    world->request.ld_library_path = "deps";
    LIBRARY(world, "/job/./liba.so", .needed = {"libb.so"});
    LIBRARY(world, "/job/deps/libb.so", .soname = "libb.so");
    assert_libs(world, "/job/deps/libb.so /job/./liba.so");
    world->request.cwd = NULL;
    assert_failure(world, FI_CLOSURE_NOT_FOUND, "./liba.so");
}

static void errors_of_open(void **state)
{
    struct world *world = *state;
    LIBRARY(world, "/env/liba.so", .needed = {"libb.so"}, .runpath = "/x:/y");
    struct memory_file *first = LIBRARY(world, "/x/libb.so", .soname = "libb.so");
    LIBRARY(world, "/y/libb.so", .soname = "libb.so");
    first->error = EACCES;
    assert_libs(world, "/y/libb.so /env/liba.so");
    first->error = EIO;
    assert_failure(world, FI_CLOSURE_NOT_ELF, "/x/libb.so");
}

static void hwcaps_directories(void **state)
{
    struct world *world = *state;
    LIBRARY(world, "/env/liba.so", .needed = {"libb.so"}, .runpath = "/x/");
    LIBRARY(world, "/x/libb.so", .soname = "libb.so");
    assert_libs(world, "/x/libb.so /env/liba.so");
    assert_int_equal(world->closure.probed, 2);
    LIBRARY(world, "/x/glibc-hwcaps/x86-64-v2/libb.so", .soname = "libb.so");
    LIBRARY(world, "/x/glibc-hwcaps/x86-64-v3/libb.so", .soname = "libb.so");
    assert_libs(world, "/x/glibc-hwcaps/x86-64-v2/libb.so /env/liba.so");
}

static void cache_before_default_dirs(void **state)
{
    struct world *world = *state;
    const struct cache_line line = {.name = "libb.so", .path = "/opt/libb.so"};
    LIBRARY(world, "/env/liba.so", .needed = {"libb.so"});
    LIBRARY(world, "/lib64/libb.so", .soname = "libb.so");
    add_cache(world, &line, 1);
    assert_libs(world, "/lib64/libb.so /env/liba.so"); /* the cache's file is gone */
    LIBRARY(world, "/opt/libb.so", .soname = "libb.so");
    assert_libs(world, "/opt/libb.so /env/liba.so");
}

static void nodefaultlib_and_the_cache(void **state)
{
    struct world *world = *state;
    const struct cache_line lines[] = {{.name = "libc3.so", .path = "/opt/libc3.so"},
                                       {.name = "libb.so", .path = "/lib64/libb.so"}};
    struct memory_file *file =
        LIBRARY(world, "/env/liba.so", .needed = {"libc3.so"}, .flags_1 = DF_1_NODEFLIB);
    LIBRARY(world, "/opt/libc3.so", .soname = "libc3.so");
    LIBRARY(world, "/lib64/libb.so", .soname = "libb.so");
    add_cache(world, lines, 2);
    assert_libs(world, "/opt/libc3.so /env/liba.so");
    file->size = build_elf(world->bytes[0],
                           &(struct elf_spec){.needed = {"libb.so"}, .flags_1 = DF_1_NODEFLIB});
    assert_failure(world, FI_CLOSURE_NOT_FOUND, "libb.so");
}

static void refuses_what_ld_so_refuses(void **state)
{
    struct world *world = *state;
    struct memory_file *file = LIBRARY(world, "/env/liba.so", .soname = "liba.so");
    uint8_t *bytes = world->bytes[0];
    static const struct {
        size_t at;
        uint8_t value;
        enum fi_closure_status status;
    } changes[] = {
        {0, 'X', FI_CLOSURE_NOT_ELF},        {EI_CLASS, ELFCLASS32, FI_CLOSURE_NOT_FOUND},
        {EI_DATA, 2, FI_CLOSURE_NOT_ELF},    {EI_VERSION, 2, FI_CLOSURE_NOT_ELF},
        {EI_OSABI, 9, FI_CLOSURE_NOT_ELF},   {EI_ABIVERSION, 1, FI_CLOSURE_NOT_ELF},
        {EI_PAD, 1, FI_CLOSURE_NOT_ELF},     {16, ET_EXEC, FI_CLOSURE_NOT_ELF},
        {18, EM_MIPS, FI_CLOSURE_NOT_FOUND}, {20, 2, FI_CLOSURE_NOT_ELF},
        {33, 0x7f, FI_CLOSURE_NOT_ELF},      /* e_phoff */ {54, 1, FI_CLOSURE_NOT_ELF},
        {57, 0xff, FI_CLOSURE_NOT_ELF}, /* e_phnum */
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t before = bytes[changes[i].at];
        bytes[changes[i].at] = changes[i].value;
        assert_int_equal(compute_closure(world), changes[i].status);
        bytes[changes[i].at] = before;
    }
    assert_libs(world, "/env/liba.so");
    for (size_t size = file->size; size-- > 0;) {
        file->size = size;
        assert_int_equal(compute_closure(world), FI_CLOSURE_NOT_ELF);
    }
}

static void wild_numbers_anywhere(void **state)
{
    struct world *world = *state;
    static const uint64_t numbers[] = {0, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63, 0x7fffffff, 64};
    struct memory_file *file =
        LIBRARY(world, "/env/liba.so", .soname = "liba.so", .needed = {"libb.so"});
    uint8_t *bytes = world->bytes[0], saved[8];
    LIBRARY(world, "/lib64/libb.so", .soname = "libb.so");
    for (size_t at = 16; at + 8 <= file->size; at += 4)
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            memcpy(saved, bytes + at, 8);
            memcpy(bytes + at, &numbers[i], 8);
            enum fi_closure_status status = compute_closure(world);
            assert_int_equal(status == FI_CLOSURE_OK, world->closure.n_libs > 0);
            memcpy(bytes + at, saved, 8);
        }
    assert_libs(world, "/lib64/libb.so /env/liba.so");
}

static void tokens(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"$ORIGIN/x", "/o/x"},
        {"${ORIGIN}x", "/ox"},
        {"$ORIGINx", "$ORIGINx"},
        {"a$LIB/$LIB", "alib64/lib64"},
        {"$PLATFORM", "plat"},
        {"${LIB", "${LIB"},
        {"$", "$"},
        {"$$ORIGIN", "$/o"},
        {"${FOO}/b", "${FOO}/b"},
        {"$ORIGIN_", "$ORIGIN_"},
        {"plain", "plain"},
        {"", ""},
        {"${ORIGINx}", "${ORIGINx}"},
    };
    struct fi_pool pool = {0};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_string_equal(fi_dst_expand(&pool, &host, table[i][0], "/o"), table[i][1]);
    assert_string_equal(fi_dst_expand(&pool, &host, "a/$ORIGIN", NULL), "");
    fi_pool_release(&pool);
}

static void lists(void **state)
{
    (void)state;
    struct fi_pool pool = {0};
    const char **dirs = fi_dirs_split(&pool, &host, "/a//:/b;/a:/:$PLATFORMS::/a", ":", "/o");
    static const char *const expected[] = {"/a/", "/b;/a/", "/", "$PLATFORMS/", ""};
    assert_int_equal(fi_dirs_count(dirs), 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(dirs[i], expected[i]);
    assert_int_equal(fi_dirs_count(fi_dirs_split(&pool, &host, "", ":", "/o")), 0);
    assert_int_equal(fi_dirs_count(fi_dirs_split(&pool, &host, "$ORIGIN/x", ":", NULL)), 0);
    fi_pool_release(&pool);
}

static void subdirectories_of_other_machines(void **state)
{
    (void)state;
    static const struct {
        struct fi_host_traits traits;
        const char *expected;
    } table[] = {
        {{.glibc_minor = 37, .isa_level = 3}, "glibc-hwcaps/x86-64-v3:glibc-hwcaps/x86-64-v2"},
        {{.glibc_minor = 40, .isa_level = 1}, ""},
        {{.glibc_minor = 36, .machine = "x86_64", .isa_level = 2},
         "glibc-hwcaps/x86-64-v2:tls/x86_64/x86_64:tls/x86_64:tls/x86_64:tls:x86_64/"
         "x86_64:x86_64:x86_64"},
        {{.glibc_minor = 36, .machine = "aarch64"}, "tls/aarch64:tls:aarch64"},
        {{.glibc_minor = 31, .machine = "aarch64", .atomics = 1},
         "tls/aarch64/atomics:tls/aarch64:tls/atomics:tls:aarch64/atomics:aarch64:atomics"},
        {{.glibc_minor = 31,
          .machine = "x86_64",
          .isa_level = 4,
          .intel = 1,
          .haswell = 1,
          .avx512_1 = 1},
         "tls/haswell/avx512_1/x86_64:tls/haswell/avx512_1:tls/haswell/x86_64:tls/haswell:tls/"
         "avx512_1/x86_64:"
         "tls/avx512_1:tls/x86_64:tls:haswell/avx512_1/x86_64:haswell/avx512_1:haswell/"
         "x86_64:haswell:"
         "avx512_1/x86_64:avx512_1:x86_64"},
    };
    struct fi_pool pool = {0};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_string_equal(fi_host_subdirs(&pool, &table[i].traits), table[i].expected);
    fi_pool_release(&pool);
}

static const struct cache_line cache_lines[] = {
    {"libz.so.1", "/lib/other-arch/libz.so.1", 0x3, NULL, 0, 0},
    {"libz.so.1", "/lib/libz.so.1", 0, NULL, 0, 0},
    {"libx.so.10", "/lib/libx.so.10", 0, NULL, 0, 0},
    {"libx.so.9", "/lib/libx.so.9", 0, NULL, 0, 0},
    {"libm.so.6", "/lib/glibc-hwcaps/x86-64-v2/libm.so.6", 0, "x86-64-v2", 1, 0},
    {"libm.so.6", "/lib/glibc-hwcaps/x86-64-v3/libm.so.6", 0, "x86-64-v3", 2, 0},
    {"libm.so.6", "/lib/glibc-hwcaps/x86-64-v4/libm.so.6", 0, "x86-64-v4", 3, 0},
    {"libm.so.6", "/lib/libm.so.6", 0, NULL, 0, 0},
    {"libl.so", "/lib/haswell/libl.so", 0, NULL, 0, 1},
    {"liba.so", "/lib/glibc-hwcaps/x86-64-v2/liba.so", 0, "x86-64-v2", 3, 0},
    {"liba.so", "/lib/liba.so", 0, NULL, 0, 0},
};
enum { N_CACHE_LINES = sizeof cache_lines / sizeof *cache_lines };

static void lookups_in_the_cache(void **state)
{
    (void)state;
    static const struct {
        const char *name, *subdirs, *path;
    } table[] = {
        {"libz.so.1", "", "/lib/libz.so.1"},
        {"libx.so.10", "", "/lib/libx.so.10"},
        {"libx.so.9", "", "/lib/libx.so.9"},
        {"libx.so.8", "", NULL},
        {"libm.so.6", "", "/lib/libm.so.6"},
        {"libm.so.6", "glibc-hwcaps/x86-64-v3:glibc-hwcaps/x86-64-v2:tls",
         "/lib/glibc-hwcaps/x86-64-v3/libm.so.6"},
        {"libm.so.6", "glibc-hwcaps/x86-64-v2", "/lib/glibc-hwcaps/x86-64-v2/libm.so.6"},
        {"liba.so", "glibc-hwcaps/x86-64-v2", "/lib/liba.so"}, /* its note asks for level 3 */
    };
    uint8_t data[BUILD_MAX];
    for (int with_old = 0; with_old < 2; with_old++) {
        size_t size = build_cache(data, cache_lines, N_CACHE_LINES, with_old);
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            const char *path = NULL;
            enum fi_ldcache_answer answer =
                fi_ldcache_lookup(data, size, table[i].name, table[i].subdirs, &path);
            assert_int_equal(answer, table[i].path ? FI_LDCACHE_FOUND : FI_LDCACHE_ABSENT);
            if (table[i].path)
                assert_string_equal(path, table[i].path);
        }
        const char *path = NULL;
        assert_int_equal(fi_ldcache_lookup(data, size, "libl.so", "", &path), FI_LDCACHE_UNSURE);
    }
}

static void broken_caches(void **state)
{
    (void)state;
    uint8_t data[BUILD_MAX];
    const char *path = NULL;
    size_t size = build_cache(data, cache_lines, N_CACHE_LINES, 0);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, data, cut);
        fi_ldcache_lookup(copy, cut, "libm.so.6", "glibc-hwcaps/x86-64-v3", &path);
        free(copy);
    }
    data[28] = 3; /* the other byte order */
    assert_int_equal(fi_ldcache_lookup(data, size, "libz.so.1", "", &path), FI_LDCACHE_ABSENT);
    data[28] = 2;
    memset(data + 20, 0xff, 4); /* the number of entries */
    assert_int_equal(fi_ldcache_lookup(data, size, "libz.so.1", "", &path), FI_LDCACHE_ABSENT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, closure_setup, closure_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runpath_makes_rpath_void),
        TEST(rpath_chain_of_a_bare_name),
        TEST(callers_rpath_ends_with_the_library),
        TEST(caller_without_default_dirs),
        TEST(loaded_objects_are_recognised),
        TEST(requested_library_is_loaded),
        TEST(names_tell_how_it_was_asked_for),
        TEST(cycles_are_marked),
        TEST(relative_names_start_from_cwd),
        TEST(errors_of_open),
        TEST(hwcaps_directories),
        TEST(cache_before_default_dirs),
        TEST(nodefaultlib_and_the_cache),
        TEST(refuses_what_ld_so_refuses),
        TEST(wild_numbers_anywhere),
        cmocka_unit_test(tokens),
        cmocka_unit_test(lists),
        cmocka_unit_test(subdirectories_of_other_machines),
        cmocka_unit_test(lookups_in_the_cache),
        cmocka_unit_test(broken_caches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
