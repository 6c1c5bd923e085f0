/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closure.h - which shared libraries would ld.so load for this one, from where, and in what order?
 *
 * Implements the search of ld.so(8) and the ELF gABI chapter "Dynamic Linking" with libelf. It
 * lives in libfastimport-elf.so, a DSO of its own that is opened with dlmopen(LM_ID_NEWLM), so that
 * neither libelf nor libz enters the link map of the host program. The one entry point is
 * fi_closure_compute(), looked up with dlsym().
 *
 * The caller supplies every look at the file system (struct fi_elf_source), so that what is looked
 * up comes from, and goes to, the node cache. Nothing here opens a file, prints, or keeps state
 * between calls.
 *
 * Thread rules: re-entrant; no globals. The source's callbacks run in the calling thread.
 * Errors: never crashes or reads out of bounds on a malformed file; see enum fi_closure_status.
 *
 * The reference is glibc 2.36. Known limits: setuid programs (AT_SECURE), LD_AUDIT, --inhibit-rpath
 * and
 * --glibc-hwcaps-* options and GLIBC_TUNABLES that mask processor features are not modelled;
 * DT_FILTER and DT_AUXILIARY are taken as DT_NEEDED, the latter as an optional one; before
 * glibc 2.35 ld.so runs the constructors of unrelated libraries in another order.
 */
#ifndef FASTIMPORT_ELF_CLOSURE_H
#define FASTIMPORT_ELF_CLOSURE_H

#include <stddef.h>

#define FI_CLOSURE_ABI 3 /* checked by fi_closure_abi(); bumped when a struct here changes */

/* The bytes of one file, read-only, valid until close(). */
struct fi_elf_bytes {
    const void *data;
    size_t size;
    void *handle; /* the source's own */
};

/* How to look at the file system. In tests an in-memory one. */
struct fi_elf_source {
    void *ctx;
    /* Opens a file as ld.so's open would see it: 0, or an errno value (ENOENT, EACCES, ...). */
    int (*open)(void *ctx, const char *path, struct fi_elf_bytes *out);
    void (*close)(void *ctx, struct fi_elf_bytes *bytes);
    /* Identity of an opened file: 0 and (dev, ino), so that two names of one file are one object.
     */
    int (*identity)(void *ctx, const char *path, unsigned long *dev, unsigned long *ino);
    /* Is it a directory? 1 or 0. Directories of a search list that are none are not probed for
     * names. */
    int (*is_dir)(void *ctx, const char *path);
};

/* An object that is already in the link map, in load order. */
struct fi_elf_loaded {
    const char *name;   /* l_name: the path it was loaded from; "" for the executable (see path) */
    const char *path;   /* absolute path, for its identity */
    const char *soname; /* DT_SONAME or NULL */
    /* Other names under which ld.so knows it (fi_closure_lib.names of earlier closures, names that
     * were given to dlopen); NULL-terminated, or NULL. Matters for libraries without SONAME. */
    const char *const *aliases;
    unsigned long dev,
        ino; /* its identity, or 0, 0: source->identity() is asked if it comes to that */
};

/* One loader in the chain that asked for the library: its RPATH is searched when it has no RUNPATH.
 * The chain is the caller, what loaded the caller through DT_NEEDED, and so on, and last the
 * executable. ld.so does not tell who loaded whom: caller and executable are the whole chain for a
 * caller that was itself dlopened. */
struct fi_elf_loader {
    const char *path;    /* absolute, for $ORIGIN */
    const char *rpath;   /* DT_RPATH as it stands in the file, or NULL */
    const char *runpath; /* DT_RUNPATH, or NULL */
    int nodeflib;        /* DF_1_NODEFLIB: it takes nothing from the default directories */
};

/* What ld.so was built with and what the processor offers. The lists are colon-separated, in search
 * order. */
struct fi_elf_host {
    const char *platform;    /* $PLATFORM; NULL: unknown, and paths with it are dropped */
    const char *lib;         /* $LIB, e.g. "lib64" */
    const char *system_dirs; /* the default directories */
    const char *subdirs; /* probed in each directory before itself, e.g. "glibc-hwcaps/x86-64-v3" */
};

struct fi_closure_request {
    const char *path; /* the library, as the program names it; with a slash, or a bare name to be
                         searched */
    const struct fi_elf_loader
        *loaders; /* nearest first, the executable last; at least the executable */
    size_t n_loaders;
    const struct fi_elf_loaded *loaded;
    size_t n_loaded;
    const char *ld_library_path;    /* as it was at program start; NULL: unset */
    const char *cwd;                /* what relative paths start from; NULL: they are not found */
    const struct fi_elf_host *host; /* NULL: this process's ld.so and processor */
    const struct fi_elf_source *source;
};

/* One library of the closure. Strings belong to the closure. */
struct fi_closure_lib {
    const char *
        path; /* absolute path where ld.so would find it; of an already loaded one, the request's */
    const char *soname; /* its DT_SONAME, or NULL */
    /* Every name by which this closure asks for it, NULL-terminated: the first is the one it was
     * found by. ld.so knows it by these and by path and soname; one that is loaded from elsewhere
     * must be made known by those that differ from soname before what needs it is loaded. */
    const char *const *names;
    int already_loaded; /* it is in request->loaded: ld.so would not open it again */
    int in_cycle;  /* needs a library that stands after it; ld.so will search for that one by itself
                    */
    int by_path;   /* some library needs it by a path as it stands, not by a name or from $ORIGIN */
    int has_rpath; /* a DT_RPATH that counts: what it loads in turn is searched there, too */
    size_t mapped; /* its place in the order in which ld.so maps the libraries: breadth-first, the
                      requested one 0 */
};

enum fi_closure_status {
    FI_CLOSURE_OK = 0,
    FI_CLOSURE_NOT_ELF, /* malformed, or not for this machine: give the path to ld.so, who will say
                           why */
    FI_CLOSURE_NOT_FOUND, /* the library or one it needs is nowhere, or not for this machine:
                             likewise */
    FI_CLOSURE_NO_MEMORY,
};

/* libs[] is in the order in which ld.so (glibc >= 2.35) runs the constructors: each library stands
 * after all that it needs, cycles apart; the requested library is last. With any status but OK
 * there are no libs. */
struct fi_closure {
    struct fi_closure_lib *libs;
    size_t n_libs;
    const char *culprit; /* NOT_FOUND: the name that was not found; NOT_ELF: the path of the bad
                            file; else NULL */
    int root_is_needed;  /* a library of the closure needs the requested one */
    size_t probed;       /* source->open calls made */
    void *memory;        /* its own */
};

typedef int fi_closure_abi_fn(void);
typedef enum fi_closure_status fi_closure_compute_fn(const struct fi_closure_request *request,
                                                     struct fi_closure *out);
typedef void fi_closure_free_fn(struct fi_closure *closure);

/* compute() fills in *out whatever it held; call free() after each, whatever the status was. */
int fi_closure_abi(void);
enum fi_closure_status fi_closure_compute(const struct fi_closure_request *request,
                                          struct fi_closure *out);
void fi_closure_free(struct fi_closure *closure); /* releases the contents, not the struct */

#endif
