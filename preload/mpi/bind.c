/* SPDX-License-Identifier: BSD-3-Clause */
/* bind.c - see bind.h */
#include "mpi/bind.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "ldso/dynamic.h"
#include "mpi/launcher_library.h"
#include "mpi/node_id.h"

struct mpi_functions mpi;
struct mpi_constants mpi_is;

static struct {
    _Atomic bool done;
    void *library;           /* dlopen's handle */
    const char *begin, *end; /* where the library is mapped */
} bound;

static const void *_Atomic preferred; /* mpi_prefer() */
static bool (*is_surely_absent)(const char *name);

void mpi_set_absence_check(bool (*is_absent)(const char *name))
{
    is_surely_absent = is_absent;
}

struct function {
    const char *name;
    size_t offset;
};

#define X(name, parameters) {"MPI_" #name, offsetof(struct mpi_functions, name)},
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

/* --- which library --- */

static bool is_mpi_library(const struct dl_phdr_info *info)
{
    struct dynamic d;

    return dynamic_read(info, &d) && dynamic_definition(&d, "MPI_Init") != NULL &&
           dynamic_definition(&d, "MPI_Get_library_version") != NULL;
}

struct mapped {
    bool found;
    char name[FI_PATH_MAX]; /* "": the executable itself */
    const char *begin, *end;
};

static bool has_address(const struct dl_phdr_info *info, const char *at, struct mapped *span)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        const char *begin = (const char *)(info->dlpi_addr + h->p_vaddr);

        if (h->p_type == PT_LOAD) {
            span->begin = span->begin == NULL ? begin : span->begin;
            span->end = begin + h->p_memsz;
        }
    }
    return span->begin <= at && at < span->end;
}

/* Notes the first MPI library that is mapped, but prefers the one with the function that the
 * program calls. */
static int find_mapped(struct dl_phdr_info *info, size_t size, void *mapped_)
{
    struct mapped *mapped = mapped_;
    struct mapped this = {.found = true};
    bool is_preferred;

    (void)size;
    if (!is_mpi_library(info)) {
        return 0;
    }
    is_preferred = has_address(info, atomic_load(&preferred), &this);
    if (!mapped->found || is_preferred) {
        mapped->found = true;
        mapped->begin = this.begin;
        mapped->end = this.end;
        snprintf(mapped->name, sizeof mapped->name, "%s",
                 info->dlpi_name == NULL ? "" : info->dlpi_name);
    }
    return is_preferred;
}

static bool is_mapped(struct mapped *mapped)
{
    *mapped = (struct mapped){.found = false};
    dl_iterate_phdr(find_mapped, mapped);
    return mapped->found;
}

void mpi_prefer(const void *function)
{
    atomic_store(&preferred, function);
}

static void *try_open(const char *name, char *why, size_t size)
{
    void *library = dlopen(name[0] == '\0' ? NULL : name, RTLD_LAZY | RTLD_LOCAL);

    if (library == NULL) {
        snprintf(why, size, "cannot load an MPI library: %s (FASTIMPORT_MPI names it)", dlerror());
    }
    return library;
}

static bool is_below(const char *prefix, const char *library)
{
    char name[FI_PATH_MAX];

    snprintf(name, sizeof name, "%s/lib/%s", prefix, library);
    return sys_access(name, F_OK, false) == 0;
}

static bool is_writable_by_anybody(const char *directory)
{
    struct stat st;

    return sys_stat(directory, &st) == 0 && (st.st_mode & S_IWOTH) != 0;
}

/* The prefix of a program in /tmp/job would be /tmp, where anybody may have put a library. */
static bool is_environment(const char *prefix)
{
    char name[FI_PATH_MAX];

    snprintf(name, sizeof name, "%s/lib", prefix);
    return !is_writable_by_anybody(prefix) && !is_writable_by_anybody(name);
}

/* Does anything tell that the program will load Open MPI? MPICH must not be loaded then, as it would
 * be a second MPI in the process. PMIx alone tells so: the MPICHs that support it set PMI_RANK, too,
 * or are linked to the program. Where an environment has both, mpi4py takes MPICH, whatever launched
 * the job. */
static bool expects_open_mpi(const char *prefix)
{
    if (prefix != NULL && is_below(prefix, "libmpi.so.12")) {
        return false;
    }
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL ||
           (prefix != NULL && is_below(prefix, "libmpi.so.40")) ||
           (getenv("PMIX_RANK") != NULL && getenv("PMI_RANK") == NULL);
}

static void *open_mapped(const struct mapped *mapped, const char *explicit_name, char *why,
                         size_t size)
{
    if (explicit_name != NULL && strcmp(explicit_name, mapped->name) != 0) {
        fi_log(LOG_WARN, "FASTIMPORT_MPI=%s is not used: the program has loaded %s already",
               explicit_name, mapped->name);
    }
    return try_open(mapped->name, why, size);
}

static void *open_below(const char *prefix, const char *library, char *why, size_t size)
{
    char name[FI_PATH_MAX];

    snprintf(name, sizeof name, "%s/lib/%s", prefix, library);
    return try_open(name, why, size);
}

static void *search(const char *library, char *why, size_t size)
{
    return is_surely_absent != NULL && is_surely_absent(library) ? NULL
                                                                 : try_open(library, why, size);
}

/* OPAL_PREFIX: where Open MPI's own launcher is installed, as it tells its ranks. */
static void *open_open_mpi(const char *prefix, char *why, size_t size)
{
    const char *launcher = getenv("OPAL_PREFIX");
    void *library = NULL;

    if (prefix != NULL && is_below(prefix, "libmpi.so.40")) {
        library = open_below(prefix, "libmpi.so.40", why, size);
    }
    if (library == NULL && launcher != NULL && launcher[0] == '/') {
        library = open_below(launcher, "libmpi.so.40", why, size);
    }
    return library != NULL ? library : search("libmpi.so.40", why, size);
}

static void *open_mpich(const char *prefix, char *why, size_t size)
{
    void *library = prefix == NULL ? NULL : open_below(prefix, "libmpi.so.12", why, size);

    if (library == NULL) {
        library = search("libmpi.so.12", why, size);
    }
    return library != NULL ? library : try_open("libmpich.so.12", why, size);
}

static void *open_found(const char *prefix, char *why, size_t size)
{
    const char *launchers = getenv(LAUNCHER_LIBRARY_VARIABLE);
    void *library =
        expects_open_mpi(prefix) ? open_open_mpi(prefix, why, size) : open_mpich(prefix, why, size);

    if (library == NULL && launchers != NULL && launchers[0] == '/') {
        library = try_open(launchers, why, size);
    }
    return library;
}

static void *open_library(const char *explicit_name, const char *prefix, char *why, size_t size)
{
    const char *named = explicit_name != NULL ? explicit_name : getenv("MPI4PY_LIBMPI");
    struct mapped mapped;

    if (is_mapped(&mapped)) {
        return open_mapped(&mapped, explicit_name, why, size);
    }
    if (prefix != NULL && !is_environment(prefix)) {
        prefix = NULL;
    }
    return named != NULL && named[0] != '\0' ? try_open(named, why, size)
                                             : open_found(prefix, why, size);
}

/* --- its functions and constants --- */

/* Fills in `mpi`. Returns NULL, or the name of the first function that is missing. */
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

/* Open MPI has MPI_COMM_WORLD in an object of this name, under whatever file name its vendor
 * installs it. */
static bool is_open_mpi(void *library)
{
    return dlsym(library, "ompi_mpi_comm_world") != NULL;
}

/* A library of another ABI may have this function as well; its major version is -1 then. */
static bool has_standard_abi(void *library)
{
    int (*get)(int *, int *) = NULL;
    int major = 0, minor = 0;

    *(void **)&get = dlsym(library, "MPI_Abi_get_version");
    return get != NULL && get(&major, &minor) == MPI_SUCCESS && major > 0;
}

/* Open MPI's handles are the addresses of objects. An executable may have copies of them (a copy
 * relocation, R_X86_64_COPY), which then are the handles for all. */
static bool find_objects(void *library, struct mpi_constants *is)
{
    const struct {
        const char *name;
        uintptr_t *handle;
    } objects[] = {{"ompi_mpi_comm_world", &is->comm_world},
                   {"ompi_mpi_comm_null", &is->comm_null},
                   {"ompi_mpi_info_null", &is->info_null},
                   {"ompi_request_null", &is->request_null},
                   {"ompi_mpi_byte", &is->byte},
                   {"ompi_mpi_int", &is->integer},
                   {"ompi_mpi_op_max", &is->max},
                   {"ompi_mpi_op_sum", &is->sum},
                   {"ompi_mpi_op_min", &is->min},
                   {"ompi_mpi_errors_return", &is->errors_return}};

    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        void *object = dlsym(RTLD_DEFAULT, objects[i].name);

        *objects[i].handle = (uintptr_t)(object != NULL ? object : dlsym(library, objects[i].name));
        if (*objects[i].handle == 0) {
            return false;
        }
    }
    is->abi = "Open MPI";
    is->any_source = -1;
    is->thread_multiple = 3;
    is->thread_funneled = 1;
    is->comm_type_shared = 0;
    return true;
}

static void find_constants(void *library)
{
    static const struct mpi_constants mpich = {"MPICH",    0x44000000, 0x04000000, 0x1c000000,
                                               0x2c000000, 0x4c00010d, 0x4c000405, 0x58000001,
                                               0x54000001, -2,         3,          1,
                                               0x58000003, 0x58000002, 1};
    static const struct mpi_constants standard = {"MPI-5", 0x101, 0x100, 0x130, 0x180,
                                                  0x247,   0x209, 0x23,  0x143, -1,
                                                  4096,    221,   0x21,  0x22,  1024};

    if (!is_open_mpi(library) || !find_objects(library, &mpi_is)) {
        mpi_is = has_standard_abi(library) ? standard : mpich;
    }
}

/* Intel MPI (2021.18) has Sessions, but once there is one, MPI_Initialized answers yes and the
 * program's MPI_Init fails. Open MPI (5.0) cannot make a communicator from a session's group over
 * UCX. */
static bool has_usable_sessions(void *library)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;

    return bind_all(library, sessions) == NULL &&
           mpi.Get_library_version(version, &length) == MPI_SUCCESS &&
           strncmp(version, "Intel", 5) != 0 && !is_open_mpi(library);
}

/* Finds a profiling library whose MPI_Init the program calls, and which does not import MPI's (it
 * uses dlsym(3), mostly). What such a library calls is not redirected to fastimport. */
static int find_hidden_profiler(struct dl_phdr_info *info, size_t size, void *name)
{
    struct dynamic d;

    (void)size;
    if (!dynamic_read(info, &d) || dynamic_definition(&d, "MPI_Init") == NULL ||
        is_mpi_library(info) || dynamic_may_import(&d, "PMPI_Init") ||
        dynamic_may_import(&d, "MPI_Init")) {
        return 0;
    }
    snprintf(name, FI_PATH_MAX, "%s", info->dlpi_name == NULL ? "" : info->dlpi_name);
    return 1;
}

/* Returns NULL, or the name of the function that is missing. */
static const char *bind_library(void *library)
{
    const char *missing = bind_all(library, always);

    if (missing == NULL) {
        find_constants(library);
        if (!has_usable_sessions(library)) {
            mpi.Session_init = NULL;
            missing = bind_all(library, world);
        }
    }
    return missing;
}

/* Notes where the object is mapped that has the function in it. */
static int bind_find_span(struct dl_phdr_info *info, size_t size, void *function)
{
    struct mapped span = {.found = true};

    (void)size;
    if (!has_address(info, function, &span)) {
        return 0;
    }
    bound.begin = span.begin;
    bound.end = span.end;
    return 1;
}

bool mpi_bind(const char *explicit_name, const char *prefix, char *why, size_t size)
{
    void *library = open_library(explicit_name, prefix, why, size);
    char profiler[FI_PATH_MAX];
    const char *missing;

    if (library == NULL) {
        return false;
    }
    if (is_open_mpi(library) && launcher_pmix_server() == NULL) {
        snprintf(why, size,
                 "the program's MPI library is Open MPI, and its launcher has not started this job "
                 "(no PMIx server)");
        return false;
    }
    missing = bind_library(library);
    if (missing != NULL) {
        snprintf(why, size, "the MPI library has no %s (MPI-3 is needed)", missing);
        return false;
    }
    if (mpi.Session_init == NULL && dl_iterate_phdr(find_hidden_profiler, profiler) != 0) {
        snprintf(why, size,
                 "%s wraps MPI_Init in a way that fastimport cannot intercept, so this MPI library "
                 "would be initialised twice",
                 profiler[0] == '\0' ? "the program" : profiler);
        return false;
    }
    dl_iterate_phdr(bind_find_span, dlsym(library, "MPI_Init"));
    bound.library = library;
    atomic_store(&bound.done, true);
    return true;
}

bool mpi_is_bound(void)
{
    return atomic_load(&bound.done);
}

void *mpi_function(const char *name)
{
    return dlsym(bound.library, name);
}

bool mpi_owns(const void *function)
{
    return mpi_is_bound() && bound.begin <= (const char *)function &&
           (const char *)function < bound.end;
}

bool mpi_is_of_another_kind(const void *function, char *out, size_t size)
{
    Dl_info object;
    void *library;
    bool is_other;

    if (function == NULL || dladdr(function, &object) == 0) {
        return false;
    }
    library = dlopen(object.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    is_other = library != NULL && is_open_mpi(library) != is_open_mpi(bound.library);
    snprintf(out, size, "%s", object.dli_fname);
    if (library != NULL) {
        dlclose(library);
    }
    return is_other;
}

bool mpi_is_cancellable(void)
{
    return dlopen("libgcc_s.so.1", RTLD_NOW) != NULL;
}

static bool bind_ask(void *library, const char *question)
{
    int (*ask)(int *) = NULL;
    int flag = 0;

    *(void **)&ask = dlsym(library, question);
    return ask != NULL && ask(&flag) == MPI_SUCCESS && flag != 0;
}

bool mpi_in_use(void)
{
    struct mapped mapped;
    void *library = NULL;

    if (is_mapped(&mapped)) {
        library = dlopen(mapped.name[0] == '\0' ? NULL : mapped.name, RTLD_LAZY | RTLD_NOLOAD);
    }
    return library != NULL && bind_ask(library, "MPI_Initialized") &&
           !bind_ask(library, "MPI_Finalized");
}

void mpi_version(char *out, size_t size)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;

    mpi.Get_library_version(version, &length);
    version[strcspn(version, "\n")] = '\0';
    for (char *tab = version; (tab = strchr(tab, '\t')) != NULL;) {
        *tab = ' ';
    }
    strncpy(out, version, size - 1);
    out[size - 1] = '\0';
}
