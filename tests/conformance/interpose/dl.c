/* SPDX-License-Identifier: BSD-3-Clause */
/* dlopen: by path, by name with the caller's RUNPATH, RTLD_NOLOAD, RTLD_GLOBAL, failures and their
 * texts, and the names that dladdr, dlinfo and dl_iterate_phdr give afterwards. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define DEEPBIND 0 /* ASan refuses it */
#else
#define DEEPBIND RTLD_DEEPBIND
#endif

typedef int value_call(void);
typedef void *dlopen_call(const char *name, int flags);

static void *dl_load(const char *name, int flags)
{
    void *h = dlopen(name, flags);
    tr_line("dlopen(%s, %x) = %s", tr_q(name), flags, h ? "ok" : "NULL");
    if (!h) {
        tr_line("    dlerror %s", tr_q(dlerror()));
    }
    return h;
}

/* Of a library from the node cache, RTLD_DI_ORIGIN shows where it is kept there: design/decisions.md.
 * Below "files" the mirror has the original paths. */
static const char *without_mirror(const char *origin)
{
    const char *cache = strstr(origin, "/fastimport-");
    const char *files = cache ? strstr(cache, "/files/") : NULL;

    return files ? files + strlen("/files") : origin;
}

/* What the handle is called, from all sides. */
static void identify(void *h, const char *symbol)
{
    struct link_map *map = NULL;
    char origin[PATH_MAX] = "";
    Dl_info info = {0};
    void *sym = dlsym(h, symbol);
    tr_line("    dlsym %s: %s", symbol, sym ? "found" : tr_q(dlerror()));
    if (sym && dladdr(sym, &info)) {
        tr_line("    dladdr %s %s", tr_q(info.dli_fname), tr_q(info.dli_sname));
    }
    if (sym) {
        tr_line("    calls give %d", ((value_call *)sym)());
    }
    if (dlinfo(h, RTLD_DI_LINKMAP, &map) == 0) {
        tr_line("    link map %s", tr_q(map->l_name));
    }
    if (dlinfo(h, RTLD_DI_ORIGIN, origin) == 0) {
        tr_line("    origin %s", tr_q(without_mirror(origin)));
    }
}

static int seen(struct dl_phdr_info *info, size_t size, void *tree)
{
    (void)size;
    if (strncmp(info->dlpi_name, tree, strlen(tree)) == 0 ||
        strstr(info->dlpi_name, "/libinterpose_")) {
        tr_line("    loaded: %s", tr_q(info->dlpi_name));
    }
    return 0;
}

static void show_loaded(const struct family *f)
{
    dl_iterate_phdr(seen, (void *)f->tree);
}

static void dl_same(const char *what, const void *a, const void *b)
{
    tr_line("    %s: %s", what, a == b ? "the same handle" : "another handle");
}

/* One library by all its names: the handle must be one, as ld.so knows files by device and inode.
 */
static void by_names(const struct family *f)
{
    void *h = dl_load(family_abs(f, "lib/module.so"), RTLD_NOW);
    if (!h) {
        return;
    }
    identify(h, "module_value");
    identify(h, "leaf_value"); /* of its dependency, found through $ORIGIN/deps */
    show_loaded(f);
    static const char *const names[] = {"lib/module.so",      "lib/./module.so",
                                        "lib//module.so",     "lib/deps/../module.so",
                                        "lib/module-link.so", "lib/module-hard.so"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *again = dl_load(family_abs(f, names[i]), RTLD_LAZY);
        dl_same(names[i], h, again);
        if (again) {
            tr_line("    dlclose %d", dlclose(again));
        }
    }
    void *noload = dl_load(family_abs(f, "lib/module.so"), RTLD_NOW | RTLD_NOLOAD);
    dl_same("RTLD_NOLOAD", h, noload);
    if (noload) {
        dlclose(noload);
    }
    tr_line("    dlclose %d", dlclose(h));
    show_loaded(f);
    dl_load(family_abs(f, "lib/module.so"), RTLD_NOW | RTLD_NOLOAD);
}

static void relative(void)
{
    void *h = dl_load("./lib/module.so", RTLD_NOW);
    if (h) {
        identify(h, "module_value");
        dlclose(h);
    }
    h = dl_load("lib/deps/libinterpose_leaf.so", RTLD_NOW);
    if (h) {
        identify(h, "leaf_value");
        dlclose(h);
    }
}

/* A name without a slash is searched with the RUNPATH of the object that calls dlopen. */
static void by_caller(const struct family *f)
{
    dl_load("libinterpose_second.so", RTLD_NOW); /* our own RUNPATH does not have it */
    void *h = dl_load(family_abs(f, "lib/caller.so"), RTLD_NOW);
    if (!h) {
        return;
    }
    dlopen_call *call = (dlopen_call *)dlsym(h, "caller_dlopen");
    void *other = call("libinterpose_second.so", RTLD_NOW);
    tr_line("caller: dlopen libinterpose_second.so %s", other ? "ok" : tr_q(dlerror()));
    if (other) {
        identify(other, "second_value");
        dlclose(other);
    }
    other = call("libinterpose_nowhere.so", RTLD_NOW);
    tr_line("caller: dlopen libinterpose_nowhere.so %s", other ? "ok" : tr_q(dlerror()));
    dlclose(h);
}

static void scope(const struct family *f)
{
    void *h = dl_load(family_abs(f, "lib/module.so"), RTLD_NOW | RTLD_LOCAL);
    tr_line("    local: leaf_value is %s", dlsym(RTLD_DEFAULT, "leaf_value") ? "seen" : "not seen");
    void *g = dl_load(family_abs(f, "lib/module.so"), RTLD_NOW | RTLD_GLOBAL);
    tr_line("    global: leaf_value is %s",
            dlsym(RTLD_DEFAULT, "leaf_value") ? "seen" : "not seen");
    void *d = dl_load(family_abs(f, "lib/deps/libinterpose_second.so"), RTLD_NOW | DEEPBIND);
    if (d) {
        dlclose(d);
    }
    if (g) {
        dlclose(g);
    }
    if (h) {
        dlclose(h);
    }
    show_loaded(f);
}

static void dl_failures(const struct family *f)
{
    static const char *const bad[] = {
        "lib/no-such.so",
        "no-such-dir/x.so",
        "lib/empty.so",
        "lib/text.so",
        "lib/short.so",
        "lib",
        "m000",
        "lib/undefined.so",
        "lib/missing.so",
        "lib/broken.so",
        "lib/module.so/",
        "loop-a",
        "closed/inner.so",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *h = dl_load(family_abs(f, bad[i]), RTLD_NOW);
        if (h) {
            dlclose(h);
        }
        dl_load(family_abs(f, bad[i]), RTLD_NOW | RTLD_NOLOAD);
    }
    dl_load(family_abs(f, "lib/module.so"), 0); /* neither RTLD_LAZY nor RTLD_NOW */
    void *lazy = dl_load(family_abs(f, "lib/undefined.so"), RTLD_LAZY);
    if (lazy) {
        dlclose(lazy);
    }
    void *self = dl_load(NULL, RTLD_NOW);
    if (self) {
        tr_line("    self: Py_Initialize %s", dlsym(self, "Py_Initialize") ? "found" : "not found");
    }
    dl_load("", RTLD_NOW | RTLD_NOLOAD);
}

void family_run(const struct family *f)
{
    dl_failures(f);
    by_names(f);
    relative();
    by_caller(f);
    scope(f);
}
