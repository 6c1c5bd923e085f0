/* bind.c - see bind.h */
#include "mpi/bind.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "early/open.h"

#define NEEDED "an MPI of the MPICH ABI (MPICH, Intel MPI, Cray MPICH, MVAPICH2)"

struct mpi_functions mpi;
static _Atomic bool bound;

struct function {
    const char *name;
    size_t offset;
};

#define X(name) {"MPI_" #name, offsetof(struct mpi_functions, name)},
static const struct function always[] = {
#include "mpi/functions.def"
    {NULL, 0}};
static const struct function sessions[] = {
#include "mpi/sessions.def"
    {NULL, 0}};
static const struct function world[] = {
#include "mpi/world.def"
    {NULL, 0}};
#undef X

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
        snprintf(why, size, "cannot load an MPI library: %s (FASTIMPORT_MPI names it)", dlerror());
    }
    return library;
}

static bool is_below(const char *prefix, const char *library)
{
    char name[4200];

    snprintf(name, sizeof name, "%s/lib/%s", prefix, library);
    return sys_access(name, F_OK, false) == 0;
}

/* Signs that the program will load an MPI of another ABI: beside that, one of ours would be a
 * second MPI in the process. (PMIx is what Open MPI is started with; the MPICHs that speak it set
 * PMI_RANK, too, or are linked to the program.) */
static const char *sign_of_another_mpi(const char *prefix)
{
    if (prefix != NULL && is_below(prefix, "libmpi.so.12")) {
        return NULL;
    }
    if (getenv("OMPI_COMM_WORLD_SIZE") != NULL) {
        return "the job was started by Open MPI";
    }
    if (prefix != NULL && is_below(prefix, "libmpi.so.40")) {
        return "the environment holds Open MPI (libmpi.so.40)";
    }
    if (getenv("PMIX_RANK") != NULL && getenv("PMI_RANK") == NULL) {
        return "the launcher offers PMIx only, as for Open MPI";
    }
    return NULL;
}

static void *open_mapped(const char *mapped, const char *explicit_name, char *why, size_t size)
{
    if (explicit_name != NULL && strcmp(explicit_name, mapped) != 0) {
        fi_log(LOG_WARN, "FASTIMPORT_MPI=%s is not used: the program has loaded %s already",
               explicit_name, mapped);
    }
    return try_open(mapped, why, size);
}

static void *open_found(const char *prefix, char *why, size_t size)
{
    const char *sign = sign_of_another_mpi(prefix);
    void *library = NULL;
    char name[4200];

    if (sign != NULL) {
        snprintf(why, size, "%s, and fastimport needs " NEEDED, sign);
        return NULL;
    }
    if (prefix != NULL) {
        snprintf(name, sizeof name, "%s/lib/libmpi.so.12", prefix);
        library = try_open(name, why, size);
    }
    if (library == NULL && !early_is_nowhere("libmpi.so.12")) {
        library = try_open("libmpi.so.12", why, size);
    }
    return library != NULL ? library : try_open("libmpich.so.12", why, size);
}

static void *open_library(const char *explicit_name, const char *prefix, char *why, size_t size)
{
    const char *mapped = NULL;

    dl_iterate_phdr(find_mapped, &mapped);
    if (mapped != NULL) {
        return open_mapped(mapped, explicit_name, why, size);
    }
    return explicit_name != NULL ? try_open(explicit_name, why, size)
                                 : open_found(prefix, why, size);
}

/* Open MPI, whatever its vendor calls it, keeps MPI_COMM_WORLD in an object of this name. */
static bool is_open_mpi(void *library)
{
    return dlsym(library, "ompi_mpi_comm_world") != NULL;
}

/* NULL, or the name of the first that is missing. */
static const char *bind_all(void *library, const struct function *functions)
{
    for (const struct function *f = functions; f->name != NULL; f++) {
        void *symbol = dlsym(library, f->name);

        if (symbol == NULL) {
            return f->name;
        }
        memcpy((char *)&mpi + f->offset, &symbol, sizeof symbol);
    }
    return NULL;
}

/* Intel MPI (2021.18) has Sessions, but says MPI_Initialized and refuses the program's MPI_Init
 * once there is one. */
static bool has_sound_sessions(void *library)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;

    return bind_all(library, sessions) == NULL &&
           mpi.Get_library_version(version, &length) == MPI_SUCCESS &&
           strncmp(version, "Intel", 5) != 0;
}

bool mpi_bind(const char *explicit_name, const char *prefix, char *why, size_t size)
{
    void *library = open_library(explicit_name, prefix, why, size);
    const char *missing;

    if (library == NULL) {
        return false;
    }
    if (is_open_mpi(library)) {
        snprintf(
            why, size,
            "the program's MPI library is Open MPI, and fastimport needs one of the MPICH ABI");
        return false;
    }
    missing = bind_all(library, always);
    if (missing == NULL && !has_sound_sessions(library)) {
        mpi.Session_init = NULL;
        missing = bind_all(library, world);
    }
    if (missing != NULL) {
        snprintf(why, size, "the MPI library has no %s (MPI-3 is needed)", missing);
    }
    bound = missing == NULL;
    return bound;
}

void *mpi_function(const char *name)
{
    const char *mapped = NULL;
    void *library;

    dl_iterate_phdr(find_mapped, &mapped);
    library = mapped == NULL ? NULL : dlopen(mapped, RTLD_LAZY | RTLD_NOLOAD);
    return library == NULL ? NULL : dlsym(library, name);
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
    int (*initialized)(int *) = NULL;
    int flag = 0;

    *(void **)&initialized = mpi_function("MPI_Initialized");
    return initialized != NULL && initialized(&flag) == MPI_SUCCESS && flag;
}

void mpi_version(char *out, size_t size)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;

    mpi.Get_library_version(version, &length);
    version[strcspn(version, "\n")] = '\0';
    strncpy(out, version, size - 1);
    out[size - 1] = '\0';
}
