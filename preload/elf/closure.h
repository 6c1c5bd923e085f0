/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closure.h - which shared libraries would ld.so load for a given one, from where, and in what
 * order?
 *
 * Implements the search of ld.so(8) and of the ELF gABI chapter "Dynamic Linking" with libelf. It
 * is a DSO of its own, libfastimport-elf.so, which is opened with dlmopen(LM_ID_NEWLM), so that
 * neither libelf nor libz enters the link map of the host program. Its functions are looked up with
 * dlsym(); fi_closure_compute() does the work.
 *
 * The caller supplies all access to the file system (struct fi_elf_source), so that it can go
 * through the node cache. This DSO opens no file, prints nothing and keeps no state between calls.
 *
 * Thread rules: re-entrant; no globals. The source's callbacks run in the calling thread. Errors:
 * enum fi_closure_status. A malformed file causes neither a crash nor a read out of bounds.
 *
 * The reference is glibc 2.36. Known limits: setuid programs (AT_SECURE), LD_AUDIT, the options
 * --inhibit-rpath and --glibc-hwcaps-*, and GLIBC_TUNABLES that mask processor features are not
 * modelled; DT_FILTER and DT_AUXILIARY are treated as DT_NEEDED, the latter as an optional one;
 * before glibc 2.35 ld.so runs the constructors of unrelated libraries in another order.
 */
#ifndef FASTIMPORT_ELF_CLOSURE_H
#define FASTIMPORT_ELF_CLOSURE_H

#include <stddef.h>

#define FI_CLOSURE_ABI 3 /* returned by fi_closure_abi(); increase it when a struct here changes */

/* The bytes of one file, read-only, valid until the source's close(). */
struct fi_elf_bytes {
    const void *data;
    size_t size;
    void *handle; /* for the source's own use */
};

/* Access to the file system. Tests use an in-memory one. */
struct fi_elf_source {
    void *ctx;
    /* Opens a file. Returns 0, or the positive errno that ld.so's open would get (ENOENT, EACCES,
     * ...). */
    int (*open)(void *ctx, const char *path, struct fi_elf_bytes *out);
    void (*close)(void *ctx, struct fi_elf_bytes *bytes);
    /* Gets the identity of a file, by which two names of one file are recognised as one object.
     * Returns 0 or a positive errno. */
    int (*identity)(void *ctx, const char *path, unsigned long *dev, unsigned long *ino);
    /* Is it a directory (1 or 0)? Directories of a search list that do not exist are not
     * searched. */
    int (*is_dir)(void *ctx, const char *path);
};

/* An object that is already in the link map. The request has them in load order. */
struct fi_elf_loaded {
    const char *name;   /* l_name: the path it was loaded from; "" for the executable */
    const char *path;   /* absolute path, also of the executable; for its identity */
    const char *soname; /* DT_SONAME or NULL */
    /* Other names under which ld.so knows it (fi_closure_lib.names of earlier closures, names that
     * were given to dlopen); NULL-terminated, or NULL. They matter for libraries without SONAME. */
    const char *const *aliases;
    unsigned long dev, ino; /* its identity; 0, 0: source->identity() is called when it is needed */
};

/* One loader in the chain that asked for the library. Its RPATH is searched if it has no RUNPATH.
 * The chain is the caller, the object that loaded the caller through DT_NEEDED, and so on; the
 * executable is last. ld.so does not tell which object loaded which. For a caller that was itself
 * dlopened, the caller and the executable are the whole chain. */
struct fi_elf_loader {
    const char *path;    /* absolute, for $ORIGIN */
    const char *rpath;   /* DT_RPATH as it is in the file, or NULL */
    const char *runpath; /* DT_RUNPATH, or NULL */
    int nodeflib;        /* DF_1_NODEFLIB: no search in the default directories */
};

/* What ld.so was built with, and what the processor offers. Lists are colon-separated, in search
 * order. */
struct fi_elf_host {
    const char *platform;    /* $PLATFORM; NULL: unknown, and paths that contain it are skipped */
    const char *lib;         /* $LIB, e.g. "lib64" */
    const char *system_dirs; /* the default directories */
    /* searched in each directory before the directory itself, e.g. "glibc-hwcaps/x86-64-v3" */
    const char *subdirs;
};

struct fi_closure_request {
    /* the library as the program names it: a path with a slash, or a name to search for */
    const char *path;
    const struct fi_elf_loader
        *loaders; /* nearest first; the executable last, which is always there */
    size_t n_loaders;
    const struct fi_elf_loaded *loaded;
    size_t n_loaded;
    const char *ld_library_path;    /* at program start; NULL: unset */
    const char *cwd;                /* where relative paths start; NULL: they are not found */
    const struct fi_elf_host *host; /* NULL: this process's ld.so and processor */
    const struct fi_elf_source *source;
};

/* One library of the closure. The closure owns the strings. */
struct fi_closure_lib {
    /* absolute path where ld.so would find it; that of the request if it is loaded already */
    const char *path;
    const char *soname; /* its DT_SONAME, or NULL */
    /* Every name by which this closure asks for it, NULL-terminated; the first is the one by which
     * it was found. ld.so knows the library by these names, its path and its SONAME. If the library
     * is loaded from another place, the names that differ from the SONAME must be made known to
     * ld.so before anything that needs the library is loaded. */
    const char *const *names;
    int already_loaded; /* it is in request->loaded: ld.so would not open it again */
    int in_cycle; /* it needs a library that is behind it in libs[], for which ld.so will search */
    int by_path;  /* another library needs it by a path, not by a name or relative to $ORIGIN */
    /* it has a DT_RPATH in force, which is also searched for what it loads in turn */
    int has_rpath;
    /* its index in the order in which ld.so maps the libraries: breadth-first, the requested one is
     * 0 */
    size_t mapped;
};

enum fi_closure_status {
    FI_CLOSURE_OK = 0,
    /* malformed, or not for this machine: let ld.so open the path and report it */
    FI_CLOSURE_NOT_ELF,
    /* the library, or one that it needs, was not found or is not for this machine: as above */
    FI_CLOSURE_NOT_FOUND,
    FI_CLOSURE_NO_MEMORY,
};

/* libs[] is in the order in which ld.so (glibc >= 2.35) runs the constructors: each library comes
 * after all that it needs, except in cycles; the requested library is last. With any status but OK
 * there are no libs. */
struct fi_closure {
    struct fi_closure_lib *libs;
    size_t n_libs;
    /* NOT_FOUND: the name that was not found; NOT_ELF: the path of the bad file; else NULL */
    const char *culprit;
    int root_is_needed; /* a library of the closure needs the requested one */
    size_t probed;      /* number of source->open calls */
    void *memory;       /* owned: see fi_closure_free() */
};

typedef int fi_closure_abi_fn(void);
typedef enum fi_closure_status fi_closure_compute_fn(const struct fi_closure_request *request,
                                                     struct fi_closure *out);
typedef void fi_closure_free_fn(struct fi_closure *closure);

/* fi_closure_compute() fills in *out, whatever it held before. Call fi_closure_free() after each
 * call, whatever the status. */
int fi_closure_abi(void);
enum fi_closure_status fi_closure_compute(const struct fi_closure_request *request,
                                          struct fi_closure *out);
void fi_closure_free(struct fi_closure *closure); /* releases the contents, not the struct */

#endif
