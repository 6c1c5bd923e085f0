/* bind.c - see bind.h */
#include "mpi/bind.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

struct mpi_functions mpi;
static _Atomic bool bound;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define X(name) {"MPI_" #name, offsetof(struct mpi_functions, name)},
#include "mpi/functions.def"
#undef X
};

static bool is_mpi_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    return strncmp(name, "libmpi.so", 9) == 0 || strncmp(name, "libmpich.so", 11) == 0 ||
           strncmp(name, "libmpi_cray.so", 14) == 0;
}

static int find_mapped(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    if (info->dlpi_name != NULL && is_mpi_name(info->dlpi_name)) {
        *(const char **)found = info->dlpi_name;
        return 1;
    }
    return 0;
}

static void *try_open(const char *name, char *why, size_t size)
{
    void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);

    if (library == NULL) {
        snprintf(why, size, "cannot load an MPI library: %s", dlerror());
    }
    return library;
}

static void *open_library(const char *explicit_name, const char *prefix, char *why, size_t size)
{
    const char *mapped = NULL;
    char name[4200];
    void *library = NULL;

    dl_iterate_phdr(find_mapped, &mapped);
    if (mapped != NULL) {
        if (explicit_name != NULL && strcmp(explicit_name, mapped) != 0) {
            fi_log(LOG_WARN, "FASTIMPORT_MPI=%s is not used: the program has loaded %s already",
                   explicit_name, mapped);
        }
        return try_open(mapped, why, size);
    }
    if (explicit_name != NULL) {
        return try_open(explicit_name, why, size);
    }
    if (prefix != NULL) {
        snprintf(name, sizeof name, "%s/lib/libmpi.so.12", prefix);
        library = try_open(name, why, size);
    }
    if (library == NULL) {
        library = try_open("libmpi.so.12", why, size);
    }
    return library != NULL ? library : try_open("libmpich.so.12", why, size);
}

bool mpi_bind(const char *explicit_name, const char *prefix, char *why, size_t size)
{
    void *library = open_library(explicit_name, prefix, why, size);

    if (library == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(library, functions[i].name);

        if (symbol == NULL) {
            snprintf(why, size, "the MPI library has no %s (MPI-4 Sessions are needed)",
                     functions[i].name);
            return false;
        }
        memcpy((char *)&mpi + functions[i].offset, &symbol, sizeof symbol);
    }
    bound = true;
    return true;
}

bool mpi_is_bound(void)
{
    return bound;
}

bool mpi_is_cancellable(void)
{
    return dlopen("libgcc_s.so.1", RTLD_NOW) != NULL;
}

bool mpi_in_use(void)
{
    const char *mapped = NULL;
    void *library;
    int (*initialized)(int *) = NULL;
    int flag = 0;

    dl_iterate_phdr(find_mapped, &mapped);
    library = mapped == NULL ? NULL : dlopen(mapped, RTLD_LAZY | RTLD_NOLOAD);
    if (library != NULL) {
        *(void **)&initialized = dlsym(library, "MPI_Initialized");
    }
    return initialized != NULL && initialized(&flag) == MPI_SUCCESS && flag;
}
