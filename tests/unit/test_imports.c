/* SPDX-License-Identifier: BSD-3-Clause */
/* base/dynamic and base/imports: real libraries, bound lazily and at once. */
#include "scratch.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ldso/dynamic.h"
#include "ldso/imports.h"

#ifndef LIBRARIES
#define LIBRARIES "." /* rules.mk says where they are; this is for the linters */
#endif

static int replacement(void)
{
    return 42;
}

static const struct import table[] = {
    {"callee_number", (void *)replacement},
    {"callee_missing", (void *)replacement},
    {"callee_nowhere", (void *)replacement},
};

enum { IMPORTS = sizeof table / sizeof *table };

struct redirection {
    const char *name; /* of the object's file */
    size_t slots;
    void *before[IMPORTS];
};

static int redirect_one(struct dl_phdr_info *info, size_t size, void *r_)
{
    struct redirection *r = r_;

    (void)size;
    if (strstr(info->dlpi_name, r->name) == NULL) {
        return 0;
    }
    r->slots = imports_redirect(info, table, IMPORTS, r->before);
    return 1;
}

static int imports_call(void *library, const char *name)
{
    int (*function)(void);

    *(void **)&function = dlsym(library, name);
    assert_non_null(function);
    return function();
}

static void *open_caller(const char *name)
{
    char path[512];
    void *library;

    snprintf(path, sizeof path, "%s/%s", LIBRARIES, name);
    library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    assert_non_null(library);
    return library;
}

static void redirects(const char *name)
{
    void *library = open_caller(name);
    struct redirection r = {.name = name};
    void *callee = dlsym(library, "callee_number");

    assert_int_equal(imports_call(library, "caller_by_pointer"), 1);
    assert_int_equal(dl_iterate_phdr(redirect_one, &r), 1);
    assert_int_equal(r.slots, 2);
    assert_ptr_equal(r.before[0], callee); /* the pointer in the data is bound in any case */
    assert_null(r.before[1]);
    assert_int_equal(imports_call(library, "caller_direct"), 42);
    assert_int_equal(imports_call(library, "caller_by_pointer"), 42);
    assert_int_equal(imports_call(library, "caller_other"), 2);
    assert_int_equal(imports_call(library, "caller_has_missing"), 0);
    assert_ptr_equal(dlsym(library, "callee_number"), callee); /* nobody else notices */
    memset(r.before, 0, sizeof r.before);
    assert_int_equal(dl_iterate_phdr(redirect_one, &r), 1);
    assert_int_equal(r.slots, 2); /* they point there already */
    assert_null(r.before[0]);
    dlclose(library);
}

static void redirects_what_is_bound_lazily(void **state)
{
    (void)state;
    redirects("caller-lazy.so");
}

/* Their slots are read-only by then. */
static void redirects_what_is_bound_at_once(void **state)
{
    (void)state;
    redirects("caller-now.so");
}

/* ld.so loads it below the address to which it is linked, as prelinked libraries may be. */
static void redirects_in_a_library_that_is_moved_down(void **state)
{
    (void)state;
    redirects("caller-high.so");
}

static int imports_look_at(struct dl_phdr_info *info, size_t size, void *found)
{
    struct dynamic d;

    (void)size;
    if (strstr(info->dlpi_name, "caller-lazy.so") == NULL) {
        return 0;
    }
    assert_true(dynamic_read(info, &d));
    assert_non_null(dynamic_definition(&d, "caller_direct"));
    assert_null(dynamic_definition(&d, "callee_number")); /* imported */
    assert_null(dynamic_definition(&d, "caller_direc"));
    assert_null(dynamic_definition(&d, ""));
    assert_true(dynamic_may_import(&d, "callee_number"));
    assert_false(dynamic_may_import(&d, "caller_direct"));
    *(bool *)found = true;
    return 1;
}

static void tells_definitions_from_imports(void **state)
{
    void *library = open_caller("caller-lazy.so");
    bool found = false;

    (void)state;
    dl_iterate_phdr(imports_look_at, &found);
    assert_true(found);
    dlclose(library);
}

/* The definition that dlsym(3) finds, for each of many names of libc. */
static int compare_with_dlsym(struct dl_phdr_info *info, size_t size, void *n)
{
    static const char *const names[] = {"getenv", "open", "qsort",
                                        "strtol", "mmap", "pthread_create"};
    struct dynamic d;
    void *libc;

    (void)size;
    if (strstr(info->dlpi_name, "/libc.so.6") == NULL || !dynamic_read(info, &d)) {
        return 0;
    }
    libc = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
    assert_non_null(libc);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const ElfW(Sym) *symbol = dynamic_definition(&d, names[i]);

        assert_non_null(symbol);
        if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC) {
            assert_ptr_equal((void *)(info->dlpi_addr + symbol->st_value), dlsym(libc, names[i]));
            ++*(int *)n;
        }
    }
    dlclose(libc);
    return 1;
}

static void finds_what_dlsym_finds(void **state)
{
    int n = 0;

    (void)state;
    dl_iterate_phdr(compare_with_dlsym, &n);
    assert_in_range(n, 4, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirects_what_is_bound_lazily),
        cmocka_unit_test(redirects_what_is_bound_at_once),
        cmocka_unit_test(redirects_in_a_library_that_is_moved_down),
        cmocka_unit_test(tells_definitions_from_imports),
        cmocka_unit_test(finds_what_dlsym_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
